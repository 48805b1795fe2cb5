use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

use agentkeys_crypto::private_file;

use super::DevError;

/// The folder of everything that lasts from one `agentkeys dev` to the next, for one of them at a time.
pub(super) struct State {
    folder: PathBuf,
    _lock: File,
}

impl State {
    pub(super) fn lock(folder: PathBuf) -> Result<Self, DevError> {
        let open = || {
            private_file::create_folder(&folder)?;
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(folder.join("lock"))
        };
        let lock = open().map_err(|source| DevError::Folder { folder: folder.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DevError::InUse(folder)),
            Err(TryLockError::Error(source)) => Err(DevError::Folder { folder, source }),
        }
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of the signer's master secret.
    pub(super) fn master_secret(&self) -> PathBuf {
        self.folder.join("master-secret")
    }

    /// The file of the signing log.
    pub(super) fn signing_log(&self) -> PathBuf {
        self.folder.join("signing.log")
    }

    /// The folder of the buckets.
    pub(super) fn buckets(&self) -> PathBuf {
        self.folder.join("s3")
    }

    /// The broker's database.
    pub(super) fn database(&self) -> PathBuf {
        self.folder.join("agentkeys.db")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_for_one_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("dev");
        let first = State::lock(folder.clone()).unwrap();

        let refused = State::lock(folder.clone());
        drop(first);

        assert!(matches!(refused, Err(DevError::InUse(_))));
        assert!(State::lock(folder).is_ok());
    }
}
