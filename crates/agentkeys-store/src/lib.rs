//! Keeps what a broker must remember, behind one small trait per kind of record.
//!
//! A method that changes something returns once the change, and the audit [`Entry`] that goes with it, are on
//! disk: both or neither. Nothing is checked before it is written: single use, uniqueness and counting are
//! one atomic statement each, so that several brokers on one store count together. Time is an argument.
//! [`mod@conformance`] is the contract as a test suite. [`SqliteStore`] is the store in a file.

mod agent;
mod audit;
mod browser_sign_in;
mod challenge;
pub mod conformance;
mod deployment;
mod grant;
mod identity_link;
mod limit;
mod mail;
mod purge;
mod restore;
mod session;
mod sign_in;
mod sqlite;
mod wallet_link;

pub use agent::{Agent, AgentRecorded, AgentStore, Granting};
pub use audit::{Action, AuditStore, BrokenChain, Entry, Head, Outcome, Recorded, RecordedEntry, verify_chain};
pub use browser_sign_in::{
    Beginning, BrowserSignIn, BrowserSignInStore, BrowserState, Decided, Decision, FoundBrowser,
};
pub use challenge::{Challenge, ChallengeStore, MOST_WRONG_SIGNATURES, Proof};
pub use deployment::{DeploymentStore, PinError};
pub use grant::{
    CODE_KEPT, DeviceLookup, Grant, GrantKind, GrantState, GrantStore, POLL_INTERVAL, Polled, Proved, Redeemed,
};
pub use identity_link::{IdentityLink, IdentityLinkStore, Linking, Unlinking};
pub use limit::Limit;
pub use mail::{BoundedLetter, Letter, MailStore, MailsWaiting, QueuedMail};
pub use purge::{AGENTS_KEPT, FLOWS_KEPT, PurgeStore, SESSIONS_KEPT};
pub use restore::RestoreStore;
pub use session::{RENEWAL_REPEATS, Renewal, RenewalRequest, SessionRecord, SessionStore};
pub use sign_in::{
    Begun, CodeAnswer, CodeOutcome, EmailSignIn, EmailSignInStore, MOST_WRONG_CODES, Opening, Purpose, SessionOpening,
};
pub use sqlite::SqliteStore;
pub use wallet_link::{WalletLink, WalletLinkStore};

/// Why the store did not do what it was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Everything a broker remembers, in one place.
pub trait Store:
    AgentStore
    + AuditStore
    + BrowserSignInStore
    + ChallengeStore
    + DeploymentStore
    + EmailSignInStore
    + GrantStore
    + IdentityLinkStore
    + MailStore
    + PurgeStore
    + RestoreStore
    + SessionStore
    + WalletLinkStore
    + std::fmt::Debug
{
}

impl<S> Store for S where
    S: AgentStore
        + AuditStore
        + BrowserSignInStore
        + ChallengeStore
        + DeploymentStore
        + EmailSignInStore
        + GrantStore
        + IdentityLinkStore
        + MailStore
        + PurgeStore
        + RestoreStore
        + SessionStore
        + WalletLinkStore
        + std::fmt::Debug
{
}
