use std::{
    io,
    path::{Path, PathBuf},
};

use agentkeys_crypto::private_file;

use crate::{MasterError, SealedBlob, Sealer};

/// The files of the sealed master secret: the one that counts, and beside it, while the minimum release is raised, the
/// one that will.
#[derive(Clone, Debug)]
pub struct Blobs {
    file: PathBuf,
    next: PathBuf,
}

impl Blobs {
    /// Those in the state folder.
    pub fn new(state: &Path) -> Self {
        Self { file: state.join("master.sealed"), next: state.join("master.sealed-next") }
    }

    /// The file that counts.
    pub fn file(&self) -> PathBuf {
        self.file.clone()
    }

    /// Whether there is any.
    pub(crate) fn are_there(&self) -> Result<bool, MasterError> {
        let is_there = |file: &Path| file.try_exists().map_err(|source| self.failed(source));
        Ok(is_there(&self.file)? || is_there(&self.next)?)
    }

    /// The blob for the minimum release that the machine is at, wherever a crash has left it, and then it alone.
    ///
    /// A file that cannot be read is none.
    pub(crate) fn find_current(&self, sealer: &dyn Sealer) -> Result<Option<SealedBlob>, MasterError> {
        if let Some(blob) = read(&self.file)
            && sealer.is_current(&blob)?
        {
            // One for a minimum that was never reached.
            private_file::remove(&self.next).map_err(|source| self.failed(source))?;
            return Ok(Some(blob));
        }
        match read(&self.next) {
            Some(blob) if sealer.is_current(&blob)? => {
                self.take_next()?;
                Ok(Some(blob))
            }
            _ => Ok(None),
        }
    }

    /// Writes the blob that counts.
    pub(crate) fn write(&self, blob: &SealedBlob) -> Result<(), MasterError> {
        private_file::replace(&self.file, &blob.0).map_err(|source| self.failed(source))
    }

    /// Writes the one that will count.
    pub(crate) fn write_next(&self, blob: &SealedBlob) -> Result<(), MasterError> {
        private_file::replace(&self.next, &blob.0).map_err(|source| self.failed(source))
    }

    /// Has the one that will count be the one that does.
    pub(crate) fn take_next(&self) -> Result<(), MasterError> {
        private_file::rename(&self.next, &self.file).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> MasterError {
        MasterError::File { file: self.file.clone(), source }
    }
}

fn read(file: &Path) -> Option<SealedBlob> {
    match private_file::read(file) {
        Ok(bytes) => Some(SealedBlob(bytes.to_vec())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "a sealed master secret cannot be read");
            None
        }
    }
}
