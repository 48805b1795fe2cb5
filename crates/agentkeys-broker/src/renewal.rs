use std::{net::IpAddr, time::Duration};

use agentkeys_crypto::{KeyError, Presentation};
use agentkeys_store::{Action, Renewal, RenewalRequest, SessionRecord, StoreError};
use agentkeys_types::Timestamp;

use crate::{AuthError, Broker, Caller, SessionCaller, sign_in::OpenedSession};

/// How exactly the time of a session's last use is known.
const NOTED_EVERY: Duration = Duration::from_mins(5);

/// Why a session got no fresh token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewalError {
    /// The token does not open anything.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// It is bound to no device key: such a session ends, and is never renewed.
    #[error("only a session that is bound to a device key can be renewed: sign in again")]
    NotBound,
    /// The fresh token could not be signed.
    #[error(transparent)]
    Signing(#[from] KeyError),
    /// The token is that of a wallet session.
    #[error("this needs the 30-day session token")]
    SessionRequired,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// Gives the session behind a bound token a fresh one: from the answer on, the token that was presented is over.
    ///
    /// No person is needed, up to the absolute life of the session. The same request within ten minutes gets the same
    /// token again, because an answer can be lost; at any other time a token that was replaced revokes the session.
    pub async fn renew_session(
        &self,
        presented: &Presentation<'_>,
        source: IpAddr,
    ) -> Result<OpenedSession, RenewalError> {
        let now = self.clock.now();
        let Caller::Session(caller) = self.recognize(presented, now).await? else {
            return Err(RenewalError::SessionRequired);
        };
        if caller.claims.cnf.is_none() {
            return Err(RenewalError::NotBound);
        }
        let SessionCaller { claims, session } = &caller;
        let end = session.created_at.after(self.sessions.absolute_life());
        let request = RenewalRequest {
            id: session.id,
            issued_at: Timestamp::from_unix(claims.iat),
            expires_at: now.after(self.sessions.life(true)).min(end),
        };
        let entry = self.entry(&caller, Action::RenewSession, format!("session:{}", session.id), source);
        let renewal = self.store.renew_session(request, entry).await?;
        self.standing.changed(session.id);
        self.witness().await?;
        let (issued_at, expires_at) = match renewal {
            Renewal::Renewed { issued_at, expires_at } => (issued_at, expires_at),
            Renewal::Reused => {
                tracing::warn!(session = %session.id, "a replaced session token was used: its session is revoked");
                return Err(AuthError::Revoked.into());
            }
            Renewal::Over => return Err(AuthError::Revoked.into()),
        };
        let session = SessionRecord { expires_at, ..session.clone() };
        Ok(self.issue_session(session, issued_at)?)
    }

    /// Revokes a session one of whose replaced tokens was presented: two hold what one should.
    pub(crate) async fn revoke_reused(&self, caller: &SessionCaller, source: IpAddr) -> Result<(), StoreError> {
        let session = &caller.session;
        tracing::warn!(session = %session.id, "a replaced session token was used: its session is revoked");
        let entry = self.entry(caller, Action::ReuseToken, format!("session:{}", session.id), source);
        self.end_session(session.account, session.id, entry).await.map(drop)
    }

    /// Notes now and then that a session is in use. Nobody waits for it, and nothing depends on it.
    pub(crate) fn note_use(&self, session: &SessionRecord, now: Timestamp) {
        let is_known = |noted: Timestamp| now < noted.after(NOTED_EVERY);
        if session.last_used_at.is_some_and(is_known) || !self.standing.begin_note(session.id, now, NOTED_EVERY) {
            return;
        }
        let (store, id) = (std::sync::Arc::clone(&self.store), session.id);
        tokio::spawn(async move {
            if let Err(error) = store.note_use(id, now).await {
                tracing::debug!(%error, "the use of a session could not be noted");
            }
        });
    }
}
