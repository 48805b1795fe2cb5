//! Where a session is kept between runs: in the keychain of the operating system, in an encrypted file, or only in
//! memory.
//!
//! There is deliberately no store that writes a session to disk in plain text.

mod blocking;
mod file;
mod kept;
mod keychain;
mod memory;
mod platform;
mod storage;

use std::path::PathBuf;

use async_trait::async_trait;

pub use file::{FileStore, PassphrasePrompt, TerminalPrompt};
pub use keychain::KeychainStore;
pub use memory::MemoryStore;
pub use storage::{AskedStorage, SessionStorage, StoreChoice, StoreKey};

use crate::{ProfileName, Session};

/// Why a session could not be kept or read. None of them holds the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The file of the session is not what was written.
    #[error("the session file `{}` is damaged: it was cut short or altered", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The keychain failed in a way of its own.
    #[error("the keychain failed: {0}")]
    Failed(String),
    /// A file or folder cannot be used.
    #[error("`{}` cannot be used: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Somebody else could read or exchange what is kept, so it is not used.
    #[error("`{}` is not safe: {fault}", path.display())]
    Insecure {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
        /// What makes it safe.
        advice: String,
    },
    /// The kernel keyring no longer has the key of the session file, which nobody can open any more.
    #[error("the session file `{}` cannot be opened any more: its key was in the kernel keyring, and is gone", path.display())]
    KeyLost {
        /// The file.
        path: PathBuf,
    },
    /// The key of the session file cannot be had.
    #[error("there is no key for the session file: {0}")]
    KeyUnavailable(String),
    /// The keychain is there, and locked.
    #[error("the keychain is locked")]
    Locked,
    /// What is kept is not a session.
    #[error("what is kept is not a session of this program")]
    Malformed,
    /// The store did not answer in time.
    #[error("the session store did not answer within two seconds")]
    TimedOut,
    /// There is no keychain.
    #[error("there is no keychain here: {0}")]
    Unavailable(String),
    /// The key is not the one that the file was written with, or the file was altered.
    #[error("the session file `{}` does not open with the key that is there", path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is not the one that the file was written with, or the file was altered.
    #[error("the passphrase does not open the session file `{}`", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
}

impl StorageError {
    /// The failure in one word, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "session_file_damaged",
            Self::Failed(_) => "keychain_failed",
            Self::File { .. } => "session_file_unavailable",
            Self::Insecure { .. } => "insecure_storage",
            Self::KeyLost { .. } => "store_key_lost",
            Self::KeyUnavailable(_) => "store_key_unavailable",
            Self::Locked => "keychain_locked",
            Self::Malformed => "session_malformed",
            Self::TimedOut => "store_timed_out",
            Self::Unavailable(_) => "keychain_unavailable",
            Self::WrongKey { .. } => "wrong_store_key",
            Self::WrongPassphrase { .. } => "wrong_passphrase",
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
