#[cfg(test)]
pub(super) mod faulty;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use agentkeys_crypto::private_file;
use agentkeys_tlog::{CHECKPOINT_FILE, JOURNAL_FILE, LogFile};

use super::LogError;

/// The few things that the log does with its folder, any of which can fail.
pub(super) trait Disk: Send {
    /// Writes at the end of the journal, and returns when it is on the medium; on an error, any part of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts off what stands in the journal behind `length`, and returns when that is on the medium.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Writes a file, of which any part may be lost until [`Disk::sync`] has returned.
    fn write(&mut self, file: &LogFile) -> io::Result<()>;

    /// Returns when all files that were written are on the medium.
    fn sync(&mut self) -> io::Result<()>;

    /// Replaces the checkpoint, and returns when that is on the medium.
    fn replace_checkpoint(&mut self, note: &str) -> io::Result<()>;

    /// Removes a file that nobody needs, and its folder if it was the last there.
    fn remove(&mut self, path: &str);

    /// Removes what a crash has left of a file from when it had less, or more, apart from what is to be kept.
    fn remove_beginnings(&mut self, path: &str, keep: &[String]) -> io::Result<()>;
}

/// The folder of a log, for one writer only.
pub(super) struct LogFolder {
    folder: PathBuf,
    handle: File,
    journal: File,
}

impl LogFolder {
    /// The folder, made where it is missing, without a log.
    pub(super) fn create(folder: &Path) -> Result<Self, LogError> {
        private_file::create_folder(folder)?;
        let mut log = Self::lock(folder, true)?;
        if folder.join(CHECKPOINT_FILE).try_exists()? {
            return Err(LogError::Exists);
        }
        log.truncate(0)?;
        log.handle.sync_all()?;
        Ok(log)
    }

    /// The folder of a log that is there.
    pub(super) fn open(folder: &Path) -> Result<Self, LogError> {
        if !folder.join(CHECKPOINT_FILE).try_exists()? {
            return Err(agentkeys_tlog::AuditError::Missing.into());
        }
        // A copy without a journal has nothing but whole files.
        Self::lock(folder, true)
    }

    fn lock(folder: &Path, create: bool) -> Result<Self, LogError> {
        let journal = OpenOptions::new().append(true).create(create).mode(0o600).open(folder.join(JOURNAL_FILE))?;
        match journal.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), handle: File::open(folder)?, journal }),
            Err(TryLockError::WouldBlock) => Err(LogError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl Disk for LogFolder {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.journal.write_all(bytes)?;
        self.journal.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.journal.set_len(length)?;
        self.journal.sync_data()
    }

    fn write(&mut self, file: &LogFile) -> io::Result<()> {
        let path = self.folder.join(&file.path);
        let open = || OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let mut opened = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                private_file::create_folder(path.parent().unwrap_or(&self.folder))?;
                open()?
            }
            opened => opened?,
        };
        opened.write_all(&file.bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // One wait for all of them, their folders included.
        Ok(rustix::fs::syncfs(&self.handle)?)
    }

    fn replace_checkpoint(&mut self, note: &str) -> io::Result<()> {
        private_file::replace(&self.folder.join(CHECKPOINT_FILE), note.as_bytes())
    }

    fn remove(&mut self, path: &str) {
        let path = self.folder.join(path);
        // What is left does no harm: it is the beginning of what is there, and checked as that.
        let _ = fs::remove_file(&path);
        let _ = path.parent().map(fs::remove_dir);
    }

    fn remove_beginnings(&mut self, path: &str, keep: &[String]) -> io::Result<()> {
        let whole = path.split_once(".p/").map_or(path, |(whole, _)| whole);
        let beginnings = match fs::read_dir(self.folder.join(format!("{whole}.p"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            beginnings => beginnings?,
        };
        for beginning in beginnings {
            let path = beginning?.path();
            if !keep.iter().any(|kept| path.ends_with(kept)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}
