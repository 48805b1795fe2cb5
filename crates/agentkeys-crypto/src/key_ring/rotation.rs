use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use agentkeys_types::Timestamp;

use super::{RingName, previous};
use crate::{Jwk, KeyError, private_file};

/// How old a half-written file must be before it is nobody's.
const ABANDONED: Duration = Duration::from_mins(1);

/// Moves the keys in a folder on, alone: a second one is refused as long as this lives.
///
/// Every step is on disk before the next one begins, and whoever opens the keys in between, or after a crash there,
/// finds a current key, every key that verifies what was signed, and makes the next one where it is missing.
#[derive(Debug)]
pub struct Rotation<'f> {
    folder: &'f Path,
    now: Timestamp,
    /// Let go by the system too, when the process ends.
    _lock: File,
}

impl<'f> Rotation<'f> {
    /// Begins.
    ///
    /// # Errors
    ///
    /// When the folder does not exist or has no keys, and when another rotation is under way.
    pub fn begin(folder: &'f Path, now: Timestamp) -> Result<Self, KeyError> {
        if RingName::ALL.iter().all(|name| !name.exists_in(folder)) {
            return Err(KeyError::NoKeys(folder.display().to_string()));
        }
        let path = folder.join("rotation.lock");
        let open = || {
            private_file::read_or_create(&path, Default::default)?;
            File::options().write(true).open(&path)
        };
        let failed = |error| KeyError::File(path.display().to_string(), error);
        let lock = open().map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, now, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(KeyError::Rotating(folder.display().to_string())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Makes the next key the current one; the old one signs no more, and of it only the public half is kept.
    ///
    /// Returns the key that signs from now on.
    pub fn rotate(&self, name: RingName) -> Result<Jwk, KeyError> {
        self.make_next(name)?;
        self.retire_current(name)?;
        let current = self.promote_next(name)?;
        self.make_next(name)?;
        previous::prune(self.folder, name, self.now)?;
        self.sweep(name)?;
        Ok(current)
    }

    /// Puts a key that was never anywhere before in the place of the current one, and forgets all others.
    ///
    /// What they signed is over at once. For a key that has leaked: the next one lay beside it.
    pub fn replace_leaked(&self, name: RingName) -> Result<Jwk, KeyError> {
        let next = name.next_file(self.folder);
        private_file::remove(&next).map_err(|error| KeyError::File(next.display().to_string(), error))?;
        self.make_next(name)?;
        let current = self.promote_next(name)?;
        self.make_next(name)?;
        previous::remove_all(self.folder, name)?;
        self.sweep(name)?;
        Ok(current)
    }

    pub(super) fn make_next(&self, name: RingName) -> Result<(), KeyError> {
        name.create_if_missing(&name.next_file(self.folder))
    }

    pub(super) fn retire_current(&self, name: RingName) -> Result<(), KeyError> {
        let current = name.read(&name.current_file(self.folder))?;
        previous::write(self.folder, name, current.public(), self.now)
    }

    pub(super) fn promote_next(&self, name: RingName) -> Result<Jwk, KeyError> {
        let (current, next) = (name.current_file(self.folder), name.next_file(self.folder));
        let jwk = name.read(&next)?.public().clone();
        private_file::rename(&next, &current).map_err(|error| KeyError::File(next.display().to_string(), error))?;
        Ok(jwk)
    }

    /// Removes the halves of files that a crash has left: they may hold private keys.
    fn sweep(&self, name: RingName) -> Result<(), KeyError> {
        let sweep = || {
            for entry in fs::read_dir(self.folder)? {
                let entry = entry?;
                let file = entry.file_name();
                let rest = file.to_str().and_then(|file| file.strip_prefix(name.stem()));
                if rest.is_some_and(|rest| rest.starts_with('.') && rest.contains(".new-")) && self.is_old(&entry)? {
                    private_file::remove(&entry.path())?;
                }
            }
            Ok(())
        };
        sweep().map_err(|error| KeyError::File(self.folder.display().to_string(), error))
    }

    fn is_old(&self, entry: &fs::DirEntry) -> io::Result<bool> {
        let modified = entry.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Timestamp::from_unix(0).after(modified + ABANDONED) <= self.now)
    }
}
