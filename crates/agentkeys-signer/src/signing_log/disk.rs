use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write},
    path::Path,
};

use super::LogError;

/// The few things that the log does with its file, any of which can fail.
pub(super) trait Disk: Send {
    /// Writes at the end; on an error, any part of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written is on the medium.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts off what stands behind `length`.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The file of a log, for one writer only.
pub(super) struct LogFile(File);

impl LogFile {
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let file = OpenOptions::new().append(true).open(path)?;
        refuse_others(&file)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(LogError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl Disk for LogFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

#[cfg(unix)]
fn refuse_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it must be private: chmod 600 it"));
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
fn refuse_others(_: &File) -> io::Result<()> {
    Ok(())
}
