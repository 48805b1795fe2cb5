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
///
/// Blobs are sealed for the machine's minimum release. [`Sealer::seal_next`] seals one for the minimum after that, and
/// [`Sealer::raise`] makes it the only one that can be unsealed.
pub trait Sealer: Send + Sync + fmt::Debug {
    /// Whether this machine has a record of an identity, whatever became of the blob.
    fn has_record(&self) -> Result<bool, SealError>;

    /// Writes this into the machine's record, which can be done once: the last step of a first boot. Only a worker as
    /// it was approved of can.
    fn record(&self, identity: &[u8; 32]) -> Result<(), SealError>;

    /// Whether the machine's record was written by such a worker, and says this.
    fn is_recorded(&self, identity: &[u8; 32]) -> Result<bool, SealError>;

    /// Random bytes of the platform's own.
    fn random(&self) -> Result<Zeroizing<[u8; 32]>, SealError>;

    /// Seals `secret`.
    fn seal(&self, secret: &[u8; 32]) -> Result<SealedBlob, SealError>;

    /// The secret in `blob`.
    fn unseal(&self, blob: &SealedBlob) -> Result<Zeroizing<[u8; 32]>, SealError>;

    /// Whether `blob` is sealed for the minimum release that this machine is at; a damaged one is not.
    fn is_current(&self, _blob: &SealedBlob) -> Result<bool, SealError> {
        Ok(true)
    }

    /// Seals `secret`, which was in `blob`, for the minimum release of this worker's own; `None` when `blob` is.
    fn seal_next(&self, _blob: &SealedBlob, _secret: &[u8; 32]) -> Result<Option<SealedBlob>, SealError> {
        Ok(None)
    }

    /// Raises the minimum release by one. What [`Sealer::seal_next`] gave is then current, and nothing else is.
    fn raise(&self) -> Result<(), SealError> {
        Ok(())
    }

    /// Lets nothing more be unsealed until the machine starts again.
    fn close(&self) -> Result<(), SealError>;

    /// A counter that only goes up, on any disk; `None` where the platform has none.
    fn counter(&self) -> Result<Option<u64>, SealError>;

    /// Counts one further.
    fn bump(&self) -> Result<Option<u64>, SealError>;
}
