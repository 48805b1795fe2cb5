use std::{io, path::PathBuf};

use agentkeys_crypto::random;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::{SealError, SealedBlob, Sealer, blobs::Blobs};

/// Why there is no master secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterError {
    /// The file of the sealed secret could not be read or written.
    #[error("the sealed master secret in {} could not be read or written: {source}", file.display())]
    File {
        /// Where it is.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This machine has sealed a master secret, and the file is gone.
    #[error(
        "this machine has sealed a master secret before, and {} is gone: restore that file from a backup. A new secret \
         would be a new identity, with other wallets, and is never made by itself",
        .0.display()
    )]
    Lost(PathBuf),
    /// The blob was sealed by another machine, or this one was cleared since.
    #[error(
        "{} was sealed by another machine, or this machine's TPM was cleared since: nothing here can read it. Start the \
         worker where it was sealed, or restore from the shares of a backup into an empty state folder",
        .0.display()
    )]
    OtherMachine(PathBuf),
    /// The blob is for a minimum release that this machine has left behind.
    #[error(
        "{} is an old copy: the minimum release of this machine was raised since it was sealed. Restore the newest copy of \
         that file",
        .0.display()
    )]
    Outdated(PathBuf),
    /// The platform could not seal or unseal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What was to become the master secret could not be had.
    #[error("{0}")]
    Source(String),
}

/// Where a master secret came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is new to this machine: [`Sealer::remember`] is still to be called, once all else is there.
    FirstBoot,
    /// It was unsealed.
    Unsealed,
    /// It was unsealed, and sealed anew for a higher minimum release.
    Raised,
}

/// What becomes of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Make,
    Unseal,
    RefuseLost,
    RefuseOtherMachine,
    RefuseOutdated,
}

/// What is there at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    CurrentBlob,
    OtherBlob,
}

impl Step {
    /// What becomes of a start at which the machine has sealed before, or not, and has found this.
    ///
    /// A current blob on a machine that does not remember comes of a first boot that was cut short: nobody has seen
    /// its identity, and it is completed.
    fn of(has_sealed: bool, found: Found) -> Self {
        match (has_sealed, found) {
            (false, Found::Nothing) => Self::Make,
            (_, Found::CurrentBlob) => Self::Unseal,
            (true, Found::Nothing) => Self::RefuseLost,
            (false, Found::OtherBlob) => Self::RefuseOtherMachine,
            (true, Found::OtherBlob) => Self::RefuseOutdated,
        }
    }
}

/// The master secret of this machine: unsealed, or what `source` gives on a first boot. Lets nothing more be unsealed
/// after that, whatever comes of it.
pub fn open(
    sealer: &dyn Sealer,
    blobs: &Blobs,
    source: impl FnOnce() -> Result<Zeroizing<[u8; 32]>, MasterError>,
) -> Result<(Zeroizing<[u8; 32]>, Origin), MasterError> {
    let opened = unseal_or_make(sealer, blobs, source);
    sealer.close()?;
    opened
}

/// A new master secret, of two sources: it is as good as the better of the two.
pub fn generate(sealer: &dyn Sealer) -> Result<Zeroizing<[u8; 32]>, MasterError> {
    let (platform, system) = (sealer.random()?, Zeroizing::new(random::<32>()));
    let (mut extracted, _) = Hkdf::<Sha256>::extract(Some(platform.as_slice()), system.as_slice());
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&extracted);
    extracted.zeroize();
    Ok(secret)
}

fn unseal_or_make(
    sealer: &dyn Sealer,
    blobs: &Blobs,
    source: impl FnOnce() -> Result<Zeroizing<[u8; 32]>, MasterError>,
) -> Result<(Zeroizing<[u8; 32]>, Origin), MasterError> {
    let has_sealed = sealer.has_sealed()?;
    let current = blobs.find_current(sealer)?;
    let found = match &current {
        Some(_) => Found::CurrentBlob,
        None if blobs.are_there()? => Found::OtherBlob,
        None => Found::Nothing,
    };
    match (Step::of(has_sealed, found), current) {
        (Step::RefuseOtherMachine, _) => Err(MasterError::OtherMachine(blobs.file())),
        (Step::RefuseOutdated, _) => Err(MasterError::Outdated(blobs.file())),
        (Step::RefuseLost, _) => Err(MasterError::Lost(blobs.file())),
        (_, Some(blob)) => {
            let secret = sealer.unseal(&blob)?;
            let origin = if has_sealed { raise(sealer, blobs, &blob, &secret)? } else { Origin::FirstBoot };
            Ok((secret, origin))
        }
        (_, None) => {
            let secret = source()?;
            blobs.write(&sealer.seal(&secret)?)?;
            Ok((secret, Origin::FirstBoot))
        }
    }
}

/// Seals the secret for this worker's release, if that is higher, and only then leaves the old blob behind.
fn raise(sealer: &dyn Sealer, blobs: &Blobs, blob: &SealedBlob, secret: &[u8; 32]) -> Result<Origin, MasterError> {
    let Some(next) = sealer.seal_next(blob, secret)? else { return Ok(Origin::Unsealed) };
    blobs.write_next(&next)?;
    sealer.raise()?;
    blobs.take_next()?;
    Ok(Origin::Raised)
}

#[cfg(test)]
mod tests;
