use std::{net::IpAddr, time::Duration};

use agentkeys_types::{Identity, KeyThumbprint, OmniAccount, SessionId, Timestamp};
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
    /// The device key that it is bound to, if any.
    pub key: Option<KeyThumbprint>,
    /// The address that it was opened from.
    pub source: Option<IpAddr>,
    /// When it was used last, as far as that was noted.
    pub last_used_at: Option<Timestamp>,
    /// When the token that counts was issued, once it was renewed.
    pub renewed_at: Option<Timestamp>,
}

impl SessionRecord {
    /// A session that a proof of `identity` opens at `now`, without what its sign-in may add: machine, key and address.
    pub fn opened(
        id: SessionId,
        account: OmniAccount,
        identity: Identity,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            id,
            account,
            identity,
            client_name: None,
            created_at: now,
            auth_time: now,
            expires_at,
            revoked_at: None,
            key: None,
            source: None,
            last_used_at: None,
            renewed_at: None,
        }
    }

    /// Whether it still counts: up to, and not at, its expiry, unless it was revoked.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// Whether a token that was issued at `issued_at` has been replaced by a newer one.
    pub fn supersedes(&self, issued_at: Timestamp) -> bool {
        self.renewed_at.is_some_and(|renewed_at| issued_at < renewed_at)
    }
}

/// For how long an answer that was lost may be asked for again.
pub const RENEWAL_REPEATS: Duration = Duration::from_mins(10);

/// Somebody asks for a fresh token.
#[derive(Clone, Copy, Debug)]
pub struct RenewalRequest {
    /// The session.
    pub id: SessionId,
    /// When the token that was presented was issued.
    pub issued_at: Timestamp,
    /// When the session ends from now on.
    pub expires_at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// A token that is issued at this time counts, and none before it.
    Renewed {
        /// Its `iat`.
        issued_at: Timestamp,
        /// Its `exp`.
        expires_at: Timestamp,
    },
    /// The token that was presented had been replaced long before: its session is revoked.
    Reused,
    /// The session no longer stands.
    Over,
}

/// Remembers who is signed in. Sessions are opened by [`EmailSignInStore::answer`](crate::EmailSignInStore::answer) and
/// [`GrantStore::redeem_grant`](crate::GrantStore::redeem_grant).
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

    /// Replaces the session's token at `entry.at`: of any number of requests with one token at once, one renews, and
    /// those that repeat it within [`RENEWAL_REPEATS`] get the same answer without a record.
    ///
    /// A token that was replaced before revokes the session, which is recorded as [`Action::ReuseToken`](crate::Action::ReuseToken).
    async fn renew_session(&self, request: RenewalRequest, entry: Entry) -> Result<Renewal, StoreError>;

    /// Notes that the session was used, unless that was noted at a later time already. Not recorded.
    async fn note_use(&self, id: SessionId, at: Timestamp) -> Result<(), StoreError>;
}
