use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rusqlite::Connection;

use super::open;
use crate::StoreError;

/// Enough for every core of a small machine; each has a page cache of its own.
const MOST: usize = 4;

/// Connections that only read, for use from any thread.
///
/// Reads run on the caller's thread: one from the cache takes some 4 µs, a hop to a blocking thread and back 20.
/// They never wait for the writer, because the write-ahead log keeps what they are reading.
#[derive(Debug)]
pub(super) struct Readers {
    connections: Box<[Mutex<Connection>]>,
    next: AtomicUsize,
}

impl Readers {
    /// Opens connections to a file that is open for writing.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let count = thread::available_parallelism().map_or(1, usize::from).min(MOST);
        let connections =
            (0..count).map(|_| open::for_reading(path).map(Mutex::new)).collect::<Result<_, StoreError>>()?;
        Ok(Self { connections, next: AtomicUsize::new(0) })
    }

    /// Runs one query. Two queries might see two states of the store.
    pub(super) fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        Ok(query(&self.free())?)
    }

    fn free(&self) -> MutexGuard<'_, Connection> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let (before, from) = self.connections.split_at(first);
        for connection in from.iter().chain(before) {
            match connection.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.connections[first].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
