use std::{io, path::PathBuf};

use agentkeys_crypto::{MasterSecret, random};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::{SealError, SealedBlob, Sealer, blobs::Blobs, log::LogError};

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
    /// The machine has a record of an identity, and the file is gone.
    #[error(
        "this machine has sealed a master secret before, and {} is gone: restore that file from a backup. A new secret \
         would be a new identity, with other wallets, and is never made by itself",
        .0.display()
    )]
    Lost(PathBuf),
    /// There is a blob, and no record of whose it is.
    #[error(
        "{} was sealed by another machine, or its first boot was cut short, or this machine's record of its identity was \
         taken away: nothing here may read it. If this machine has never served, empty the state folder and start the \
         machine again. Otherwise start the worker where the file was sealed, or restore from the shares of a backup \
         into an empty state folder",
        .0.display()
    )]
    Unrecorded(PathBuf),
    /// The blob holds another secret than the one whose identity the machine has recorded.
    #[error(
        "{} holds a secret of another identity than this machine has recorded, so somebody else has put it there: \
         restore the file of this machine from a backup",
        .0.display()
    )]
    OtherIdentity(PathBuf),
    /// The blob is for a minimum release that this machine has left behind, or cannot be read.
    #[error(
        "{} is damaged, or an old copy: the minimum release of this machine was raised since it was sealed. The newest \
         copy of that file restores it",
        .0.display()
    )]
    NotCurrent(PathBuf),
    /// The log of a first boot could not begin.
    #[error("the signing log: {0}")]
    Log(#[from] LogError),
    /// The platform could not seal or unseal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What was to become the master secret could not be had.
    #[error("{0}")]
    Source(String),
}

/// Where a master secret came from.
#[derive(Debug, PartialEq, Eq)]
pub enum Origin<B> {
    /// It is new to this machine, and this has begun with it.
    FirstBoot(B),
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
    RefuseUnrecorded,
    RefuseNotCurrent,
}

/// What is there at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    CurrentBlob,
    OtherBlob,
}

impl Step {
    /// What becomes of a start at which the machine has a record of an identity, or none, and has found this.
    ///
    /// Without a record nothing shows that a blob is not somebody else's, or that there never was a log: it is not
    /// completed, whatever it is.
    fn of(has_record: bool, found: Found) -> Self {
        match (has_record, found) {
            (false, Found::Nothing) => Self::Make,
            (false, Found::CurrentBlob | Found::OtherBlob) => Self::RefuseUnrecorded,
            (true, Found::Nothing) => Self::RefuseLost,
            (true, Found::CurrentBlob) => Self::Unseal,
            (true, Found::OtherBlob) => Self::RefuseNotCurrent,
        }
    }
}

/// The master secret of this machine: unsealed, or what `source` gives on a first boot, of which `begin` is a part. Lets
/// nothing more be unsealed after that, whatever comes of it.
pub fn open<B>(
    sealer: &dyn Sealer,
    blobs: &Blobs,
    source: impl FnOnce() -> Result<Zeroizing<[u8; 32]>, MasterError>,
    begin: impl FnOnce(&MasterSecret) -> Result<B, MasterError>,
) -> Result<(MasterSecret, Origin<B>), MasterError> {
    let opened = unseal_or_make(sealer, blobs, source, begin);
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

fn unseal_or_make<B>(
    sealer: &dyn Sealer,
    blobs: &Blobs,
    source: impl FnOnce() -> Result<Zeroizing<[u8; 32]>, MasterError>,
    begin: impl FnOnce(&MasterSecret) -> Result<B, MasterError>,
) -> Result<(MasterSecret, Origin<B>), MasterError> {
    let has_record = sealer.has_record()?;
    let current = blobs.find_current(sealer)?;
    let found = match &current {
        Some(_) => Found::CurrentBlob,
        None if blobs.are_there()? => Found::OtherBlob,
        None => Found::Nothing,
    };
    match (Step::of(has_record, found), current) {
        (Step::RefuseUnrecorded, _) => Err(MasterError::Unrecorded(blobs.file())),
        (Step::RefuseNotCurrent, _) => Err(MasterError::NotCurrent(blobs.file())),
        (Step::RefuseLost, _) => Err(MasterError::Lost(blobs.file())),
        (_, Some(blob)) => {
            let secret = sealer.unseal(&blob)?;
            let master_secret = MasterSecret::new(&secret);
            if !sealer.is_recorded(&record_of(&master_secret))? {
                return Err(MasterError::OtherIdentity(blobs.file()));
            }
            let origin = raise(sealer, blobs, &blob, &secret)?;
            Ok((master_secret, origin))
        }
        (_, None) => {
            let secret = source()?;
            let master_secret = MasterSecret::new(&secret);
            blobs.write(&sealer.seal(&secret)?)?;
            drop(secret);
            let beginning = begin(&master_secret)?;
            sealer.record(&record_of(&master_secret))?;
            Ok((master_secret, Origin::FirstBoot(beginning)))
        }
    }
}

/// What a machine records of the identity of its secret.
fn record_of(master_secret: &MasterSecret) -> [u8; 32] {
    let record = Sha256::new_with_prefix(b"agentkeys/identity-record/v1\0");
    record.chain_update(master_secret.identity_public_key()).finalize().into()
}

/// Seals the secret for this worker's release, if that is higher, and only then leaves the old blob behind.
fn raise<B>(
    sealer: &dyn Sealer,
    blobs: &Blobs,
    blob: &SealedBlob,
    secret: &[u8; 32],
) -> Result<Origin<B>, MasterError> {
    let Some(next) = sealer.seal_next(blob, secret)? else { return Ok(Origin::Unsealed) };
    blobs.write_next(&next)?;
    sealer.raise()?;
    blobs.take_next()?;
    Ok(Origin::Raised)
}

#[cfg(test)]
mod tests;
