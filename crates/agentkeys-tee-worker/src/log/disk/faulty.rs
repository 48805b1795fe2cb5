use std::{
    fs::OpenOptions,
    sync::{Arc, Mutex},
};

use super::{Disk, LogFile, LogFolder, Path, PathBuf, Write, io};

/// A real folder whose disk fails when told to, and keeps half of what it failed to write.
pub(in super::super) struct FaultyDisk {
    inner: LogFolder,
    faults: Faults,
}

/// Tells a [`FaultyDisk`] to fail.
#[derive(Clone, Default)]
pub(in super::super) struct Faults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_full: bool,
    /// After how many operations the power goes.
    left: Option<usize>,
    done: usize,
    unsynced: Vec<PathBuf>,
}

impl Faults {
    pub(in super::super) fn open(&self, folder: &Path) -> FaultyDisk {
        FaultyDisk { inner: LogFolder::open(folder).unwrap(), faults: self.clone() }
    }

    pub(in super::super) fn set_full(&self, is_full: bool) {
        self.0.lock().unwrap().is_full = is_full;
    }

    pub(in super::super) fn die_after(&self, operations: usize) {
        self.0.lock().unwrap().left = Some(operations);
    }

    /// How many operations there were.
    pub(in super::super) fn operations(&self) -> usize {
        self.0.lock().unwrap().done
    }

    /// Loses what was written and not synced: files are there, and empty.
    pub(in super::super) fn lose_unsynced(&self) {
        for path in &self.0.lock().unwrap().unsynced {
            if path.exists() {
                OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
            }
        }
    }

    /// Whether the next operation is done in full.
    fn next(&self) -> io::Result<bool> {
        let mut state = self.0.lock().unwrap();
        state.done += 1;
        match state.left.as_mut() {
            Some(0) => return Err(io::Error::other("no power")),
            Some(left) => {
                *left -= 1;
                if *left == 0 {
                    return Ok(false);
                }
            }
            None => {}
        }
        Ok(!state.is_full)
    }
}

fn failed<T>() -> io::Result<T> {
    Err(io::ErrorKind::StorageFull.into())
}

impl Disk for FaultyDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.faults.next()? {
            return self.inner.append(bytes);
        }
        self.inner.journal.write_all(&bytes[..bytes.len() / 2])?;
        failed()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        // A full disk truncates all the same.
        if self.faults.next()? || self.faults.0.lock().unwrap().left.is_none() {
            return self.inner.truncate(length);
        }
        failed()
    }

    fn write(&mut self, file: &LogFile) -> io::Result<()> {
        let is_whole = self.faults.next()?;
        let length = if is_whole { file.bytes.len() } else { file.bytes.len() / 2 };
        self.faults.0.lock().unwrap().unsynced.push(self.inner.folder.join(&file.path));
        self.inner.write(&LogFile { path: file.path.clone(), bytes: file.bytes[..length].to_vec() })?;
        if is_whole { Ok(()) } else { failed() }
    }

    fn sync(&mut self) -> io::Result<()> {
        if !self.faults.next()? {
            return failed();
        }
        self.faults.0.lock().unwrap().unsynced.clear();
        self.inner.sync()
    }

    fn replace_checkpoint(&mut self, note: &str) -> io::Result<()> {
        if self.faults.next()? { self.inner.replace_checkpoint(note) } else { failed() }
    }

    fn remove(&mut self, path: &str) {
        if self.faults.next().is_ok_and(|is_done| is_done) {
            self.inner.remove(path);
        }
    }

    fn remove_beginnings(&mut self, path: &str, keep: &[String]) -> io::Result<()> {
        if self.faults.next()? { self.inner.remove_beginnings(path, keep) } else { failed() }
    }
}
