use agentkeys_types::{Identity, OmniAccount, SessionId, Timestamp};
use async_trait::async_trait;

use crate::{Entry, StoreError};

/// What a broker remembers of a 30-day session. Not its token, nor a digest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Names the session.
    pub id: SessionId,
    /// The account that it acts for.
    pub account: OmniAccount,
    /// The identity that opened it.
    pub identity: Identity,
    /// Which machine asked for it.
    pub client_name: Option<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When the person proved the identity.
    pub auth_time: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl SessionRecord {
    /// Whether it still counts: up to, and not at, its expiry, unless it was revoked.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Remembers who is signed in. Sessions are opened by [`EmailSignInStore::answer`](crate::EmailSignInStore::answer).
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// The session of this name, also when it no longer stands, as long as it is remembered.
    async fn find_session(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError>;

    /// The account's sessions that stand, newest first.
    async fn sessions(&self, account: OmniAccount, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError>;

    /// Revokes one session of the account, from `entry.at` on; `false`, without a record, when there was none standing.
    async fn revoke_session(&self, account: OmniAccount, id: SessionId, entry: Entry) -> Result<bool, StoreError>;

    /// Revokes every session of the account that stands, from `entry.at` on, and names them; without a
    /// record when there was none.
    async fn revoke_sessions(&self, account: OmniAccount, entry: Entry) -> Result<Vec<SessionId>, StoreError>;
}
