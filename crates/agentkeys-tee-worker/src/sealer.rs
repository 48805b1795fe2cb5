use std::fmt;

use zeroize::Zeroizing;

/// Why nothing was sealed or unsealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The platform did not answer as it should.
    #[error("the platform that seals the master secret failed: {0}")]
    Platform(String),
    /// This image, this machine or this release is not the one that it was sealed for.
    #[error("the master secret cannot be unsealed here: {0}")]
    Refused(String),
}

/// A master secret that only the right worker on the right machine can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBlob(pub Vec<u8>);

/// Keeps a secret for the worker as it was measured, on this machine. Its methods block.
pub trait Sealer: Send + Sync + fmt::Debug {
    /// Whether this machine remembers that it has sealed something, whatever became of the blob.
    fn has_sealed(&self) -> Result<bool, SealError>;

    /// Random bytes of the platform's own.
    fn random(&self) -> Result<Zeroizing<[u8; 32]>, SealError>;

    /// Seals `secret`.
    fn seal(&self, secret: &[u8; 32]) -> Result<SealedBlob, SealError>;

    /// The secret in `blob`.
    fn unseal(&self, blob: &SealedBlob) -> Result<Zeroizing<[u8; 32]>, SealError>;

    /// Lets nothing more be unsealed until the machine starts again.
    fn close(&self) -> Result<(), SealError>;

    /// A counter that only goes up, on any disk; `None` where the platform has none.
    fn counter(&self) -> Result<Option<u64>, SealError>;

    /// Counts one further.
    fn bump(&self) -> Result<Option<u64>, SealError>;
}
