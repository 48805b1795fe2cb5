use std::{net::IpAddr, time::Duration};

use agentkeys_types::{OmniAccount, SessionId, Timestamp};
use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::{Limit, StoreError};

/// What was done or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The store was an older copy, and everything that it held open was ended.
    DetectRestore,
    /// An agent was created, or what it may have was changed.
    GrantAgent,
    /// An identity was linked to an account.
    LinkIdentity,
    /// A wallet was linked to an account.
    LinkWallet,
    /// A web-identity JWT was minted.
    MintOidcJwt,
    /// A linked wallet signed a challenge.
    ProveWallet,
    /// A session's token was replaced by a fresh one.
    RenewSession,
    /// An authorization code came again, and the session that it had opened was revoked.
    ReuseCode,
    /// A token that had been replaced was presented, and its session revoked.
    ReuseToken,
    /// An agent was taken away from its account.
    RevokeAgent,
    /// All sessions of an account were revoked.
    RevokeAllSessions,
    /// A session was revoked.
    RevokeSession,
    /// A person proved an identity, to sign in with it.
    SignIn,
    /// An identity was taken away from its account.
    UnlinkIdentity,
    /// A wallet was unlinked.
    UnlinkWallet,
}

impl Action {
    /// The action as it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DetectRestore => "restore_detected",
            Self::GrantAgent => "grant_agent",
            Self::LinkIdentity => "link_identity",
            Self::LinkWallet => "link_wallet",
            Self::MintOidcJwt => "mint_oidc_jwt",
            Self::ProveWallet => "prove_wallet",
            Self::RenewSession => "renew_session",
            Self::ReuseCode => "reuse_code",
            Self::ReuseToken => "reuse_token",
            Self::RevokeAgent => "revoke_agent",
            Self::RevokeAllSessions => "revoke_all_sessions",
            Self::RevokeSession => "revoke_session",
            Self::SignIn => "sign_in",
            Self::UnlinkIdentity => "unlink_identity",
            Self::UnlinkWallet => "unlink_wallet",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was done.
    Done,
    /// The operator does not allow it.
    NotAllowed,
    /// The person refused.
    Refused,
    /// The identity was taken away from the account that it had made.
    Retired,
    /// The identity opens another account.
    Taken,
    /// The code was wrong.
    WrongCode,
}

impl Outcome {
    /// The outcome as it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotAllowed => "not_allowed",
            Self::Refused => "refused",
            Self::Retired => "retired",
            Self::Taken => "taken",
            Self::WrongCode => "wrong_code",
        }
    }
}

/// One line of the audit record. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Whose account, where one is known.
    pub account: Option<OmniAccount>,
    /// Under which 30-day session, where there is one.
    pub session: Option<SessionId>,
    /// On what: an identity, an address, an audience and token id.
    pub subject: String,
    /// From which address.
    pub source: Option<IpAddr>,
}

/// An entry as it was recorded, with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEntry {
    /// Counts from 1 without gaps.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// As [`Action::as_str`].
    pub action: String,
    /// As [`Outcome::as_str`].
    pub outcome: String,
    /// Whose account, where one is known.
    pub account: Option<OmniAccount>,
    /// Under which 30-day session, where there is one.
    pub session: Option<SessionId>,
    /// On what.
    pub subject: String,
    /// From which address.
    pub source: Option<IpAddr>,
    /// [`RecordedEntry::link`] of this entry after the one before it.
    pub hash: [u8; 32],
}

impl Entry {
    /// As [`RecordedEntry::link`], once it is recorded as number `sequence`.
    pub(crate) fn link(&self, sequence: u64, previous: &[u8; 32]) -> [u8; 32] {
        let Self { at, action, outcome, account, session, subject, source } = self;
        let (action, outcome) = (action.as_str(), outcome.as_str());
        Fields { sequence, at: *at, action, outcome, account, session, subject, source: *source }.link(previous)
    }
}

impl RecordedEntry {
    /// SHA-256 of the previous entry's hash (zeroes before the first) and every field of this one, each
    /// preceded by its length.
    pub fn link(&self, previous: &[u8; 32]) -> [u8; 32] {
        let Self { sequence, at, action, outcome, account, session, subject, source, hash: _ } = self;
        Fields { sequence: *sequence, at: *at, action, outcome, account, session, subject, source: *source }
            .link(previous)
    }
}

/// What the chain covers.
struct Fields<'e> {
    sequence: u64,
    at: Timestamp,
    action: &'e str,
    outcome: &'e str,
    account: &'e Option<OmniAccount>,
    session: &'e Option<SessionId>,
    subject: &'e str,
    source: Option<IpAddr>,
}

impl Fields<'_> {
    fn link(&self, previous: &[u8; 32]) -> [u8; 32] {
        let source = self.source.map(|source| source.to_string()).unwrap_or_default();
        let (sequence, at) = (self.sequence.to_be_bytes(), self.at.as_unix().to_be_bytes());
        let fields: [&[u8]; 8] = [
            &sequence,
            &at,
            self.action.as_bytes(),
            self.outcome.as_bytes(),
            self.account.as_ref().map_or(&[], |account| account.as_bytes()),
            self.session.as_ref().map_or(&[], |session| session.as_bytes()),
            self.subject.as_bytes(),
            source.as_bytes(),
        ];
        let mut hash = Sha256::new();
        hash.update(previous);
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().into()
    }
}

/// The first entry that is not what was recorded, or not where it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit record is broken at entry {0}")]
pub struct BrokenChain(pub u64);

/// Checks that `entries` follow one another from `previous` on, the hash before the first of them; returns the last hash.
pub fn verify_chain(previous: [u8; 32], entries: &[RecordedEntry]) -> Result<[u8; 32], BrokenChain> {
    let Some(first) = entries.first() else { return Ok(previous) };
    let mut hash = previous;
    for (expected, entry) in (first.sequence..).zip(entries) {
        hash = entry.link(&hash);
        if entry.sequence != expected || entry.hash != hash {
            return Err(BrokenChain(expected));
        }
    }
    Ok(hash)
}

/// The place and the hash of an entry, by which it and all before it are known; of no entry, zeroes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// As [`RecordedEntry::sequence`].
    pub sequence: u64,
    /// As [`RecordedEntry::hash`].
    pub hash: [u8; 32],
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is on disk.
    Recorded,
    /// It is over a limit, and was not recorded.
    Limited {
        /// When the limit opens again.
        retry_after: Duration,
    },
}

/// Records what was done, before it takes effect.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Appends an entry and counts it against `limits`, both or neither.
    ///
    /// An entry that was recorded is on disk and chained to the one before it. On an error, or over a limit,
    /// the caller must not go on to do what it meant to record.
    async fn append(&self, entry: Entry, limits: Vec<Limit>) -> Result<Recorded, StoreError>;

    /// The entries after `sequence`, in order, `most` of them at most.
    async fn entries_after(&self, sequence: u64, most: u32) -> Result<Vec<RecordedEntry>, StoreError>;

    /// Where the record ends: nothing that was recorded before this was asked for comes after it.
    async fn head(&self) -> Result<Head, StoreError>;
}
