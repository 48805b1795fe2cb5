use agentkeys_client::{Binding, Session, SpareSessions};

use super::System;
use crate::SessionForger;

impl System {
    /// All the sessions that a signer must refuse to `name@example.com`, who holds `session`.
    ///
    /// # Panics
    ///
    /// When the broker refuses.
    pub async fn spare_sessions(&self, name: &str, session: &Session) -> SpareSessions {
        let revoked = self.sign_in(name, Binding::DeviceKey).await;
        let revocation = self.flow().broker.revoke_session(session, revoked.session_id).await;
        revocation.expect("a session that is revoked");
        SpareSessions {
            unbound: Some(self.sign_in(name, Binding::None).await),
            revoked: Some(revoked),
            expired: Some(SessionForger::of(self).expire(session)),
            of_another_account: Some(self.sign_in(&format!("not-{name}"), Binding::DeviceKey).await),
        }
    }
}
