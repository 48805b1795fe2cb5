//! Where a session is kept between runs: in the keychain of the operating system, or only in memory.
//!
//! There is deliberately no store that writes a session to disk in plain text.

mod keychain;
mod memory;

use async_trait::async_trait;

pub use keychain::KeychainStore;
pub use memory::MemoryStore;

use crate::{ProfileName, Session};

/// Why a session could not be kept or read. None of them holds the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The keychain failed in a way of its own.
    #[error("the keychain failed: {0}")]
    Failed(String),
    /// The keychain is there, and locked.
    #[error("the keychain is locked")]
    Locked,
    /// What the keychain holds is not a session.
    #[error("what the keychain holds is not a session of this program")]
    Malformed,
    /// The keychain did not answer in time.
    #[error("the keychain did not answer within two seconds")]
    TimedOut,
    /// There is no keychain.
    #[error("there is no keychain here: {0}")]
    Unavailable(String),
}

impl StorageError {
    /// The failure in one word, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failed(_) => "keychain_failed",
            Self::Locked => "keychain_locked",
            Self::Malformed => "keychain_malformed",
            Self::TimedOut => "keychain_timed_out",
            Self::Unavailable(_) => "keychain_unavailable",
        }
    }
}

/// Keeps one session for each profile.
///
/// A `save` that has returned is what every later `load` finds, also in another process.
#[async_trait]
pub trait SessionTokenKeyStore: Send + Sync {
    /// Writes, reads and deletes a trial entry: asked before anything is begun whose outcome must be kept.
    async fn check(&self) -> Result<(), StorageError>;

    /// The profile's session, if there is one. It may be over.
    async fn load(&self, profile: &ProfileName) -> Result<Option<Session>, StorageError>;

    /// Keeps the profile's session, instead of the one before.
    async fn save(&self, profile: &ProfileName, session: &Session) -> Result<(), StorageError>;

    /// Forgets the profile's session. Succeeds also where there was none.
    async fn delete(&self, profile: &ProfileName) -> Result<(), StorageError>;

    /// What it is, for people.
    fn name(&self) -> &'static str;
}
