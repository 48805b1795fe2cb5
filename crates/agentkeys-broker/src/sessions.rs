use std::{net::IpAddr, time::Duration};

use agentkeys_store::{Action, Entry, Outcome, SessionRecord, StoreError};
use agentkeys_types::{OmniAccount, SessionId};

use crate::{Broker, SessionCaller};

/// How often a waiting answer looks whether another broker has revoked the session.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why sessions were not listed or revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The account has no such session.
    #[error("there is no such session")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// The sessions of the caller's account that stand, newest first.
    pub async fn sessions(&self, caller: &SessionCaller) -> Result<Vec<SessionRecord>, StoreError> {
        self.store.sessions(caller.session.account, self.clock.now()).await
    }

    /// Revokes one session of the caller's account: from the answer on, nothing accepts it.
    pub async fn revoke_session(
        &self,
        caller: &SessionCaller,
        id: SessionId,
        source: IpAddr,
    ) -> Result<(), SessionError> {
        let entry = self.entry(caller, Action::RevokeSession, format!("session:{id}"), source);
        let revoked = self.end_session(caller.session.account, id, entry).await?;
        if revoked { Ok(()) } else { Err(SessionError::NotFound) }
    }

    /// Revokes a session of the account, if it stands: from then on nothing here accepts it.
    pub(crate) async fn end_session(
        &self,
        account: OmniAccount,
        id: SessionId,
        entry: Entry,
    ) -> Result<bool, StoreError> {
        let revoked = self.store.revoke_session(account, id, entry).await?;
        self.standing.changed(id);
        self.witness().await?;
        Ok(revoked)
    }

    /// Revokes every session of the caller's account, the calling one with them.
    pub async fn revoke_all_sessions(&self, caller: &SessionCaller, source: IpAddr) -> Result<(), StoreError> {
        let entry = self.entry(caller, Action::RevokeAllSessions, "sessions".to_owned(), source);
        let revoked = self.store.revoke_sessions(caller.session.account, entry).await?;
        for id in revoked {
            self.standing.changed(id);
        }
        self.witness().await
    }

    /// The session, if it still stands after waiting up to `wait` for that to end.
    pub async fn standing_session_after(
        &self,
        id: SessionId,
        wait: Duration,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let mut changes = self.standing.changes(id);
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let session = self.standing.session(&*self.store, id).await?;
            let session = session.filter(|session| session.stands(self.clock.now()));
            let now = tokio::time::Instant::now();
            if session.is_none() || now >= deadline {
                return Ok(session);
            }
            let _ = tokio::time::timeout_at(deadline.min(now + LOOK_AGAIN), changes.changed()).await;
        }
    }

    /// The line of the audit record for what a signed-in caller does.
    pub(crate) fn entry(&self, caller: &SessionCaller, action: Action, subject: String, source: IpAddr) -> Entry {
        Entry {
            at: self.clock.now(),
            action,
            outcome: Outcome::Done,
            account: Some(caller.session.account),
            session: Some(caller.session.id),
            subject,
            source: Some(source),
        }
    }
}
