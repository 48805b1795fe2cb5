//! Remembers every signing before it happens, in a file that shows when it was changed.
//!
//! Each line is a JSON object that ends with `"hash"`: the SHA-256 of the previous line's hash and of all
//! that stands before this one. One thread writes: it takes all entries that wait, writes them at once, syncs
//! once, and only then answers. What was not synced is cut off again before anything else is written.

mod chain;
mod disk;
mod entry;
mod writer;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use agentkeys_crypto::private_file;
use agentkeys_tlog::ChainError;
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use self::{
    disk::LogFile,
    writer::{Waiting, Writer},
};

pub use self::chain::{Verified, verify};
use self::entry::Line;
use crate::record::{Entry, LogUnavailable, Receipt, SigningRecord};

/// How many entries may wait at once.
const QUEUE: usize = 4096;
/// How long a caller waits for its entry to be on disk.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Why a signing log is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// It is not what this signer wrote.
    #[error(
        "line {line} of the signing log is not what was written: keep the file for inspection, and start a new one"
    )]
    Broken {
        /// The first wrong line, counted from 1.
        line: u64,
    },
    /// It could not be read, written or locked.
    #[error("the signing log could not be used: {0}")]
    File(#[from] io::Error),
    /// Another process writes it.
    #[error("another signer is using the signing log")]
    InUse,
}

impl From<ChainError> for LogError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Broken { line } => Self::Broken { line },
            ChainError::File(error) => Self::File(error),
            error => Self::File(io::Error::other(error)),
        }
    }
}

/// An append-only, hash-chained record of signings.
pub struct SigningLog {
    queue: Option<mpsc::Sender<Waiting>>,
    writer: Option<thread::JoinHandle<()>>,
}

impl SigningLog {
    /// Opens the log at `path`, made at first, after checking all of it.
    ///
    /// A last line that was not written to its end was never answered for, and is cut off.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        match private_file::create_new(path, b"") {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let file = LogFile::open(path)?;
        let verified = verify(path)?;
        if verified.torn > 0 {
            tracing::warn!(bytes = verified.torn, "the signing log ended in the middle of a line, which is cut off");
        }
        let writer = Writer::new(file, &verified)?;
        Ok(Self::start(writer)?)
    }

    /// As [`SigningLog::open`], off the threads that answer.
    pub async fn open_apart(path: PathBuf) -> Result<Self, LogError> {
        tokio::task::spawn_blocking(move || Self::open(&path)).await.map_err(io::Error::other)?
    }

    fn start(mut writer: Writer<impl disk::Disk + 'static>) -> io::Result<Self> {
        let (queue, entries) = mpsc::channel(QUEUE);
        let writer = thread::Builder::new().name("signing-log".to_owned()).spawn(move || writer.run(entries))?;
        Ok(Self { queue: Some(queue), writer: Some(writer) })
    }
}

#[async_trait]
impl SigningRecord for SigningLog {
    async fn append(&self, entry: Entry) -> Result<Receipt, LogUnavailable> {
        let queue = self.queue.as_ref().ok_or(LogUnavailable)?;
        let line = Line::try_from(entry)?;
        let (done, recorded) = oneshot::channel();
        let waiting = async {
            queue.send(Waiting { line, done }).await.map_err(|_| LogUnavailable)?;
            recorded.await.map_err(|_| LogUnavailable)?
        };
        let recorded = tokio::time::timeout(LONGEST_WAIT, waiting).await.map_err(|_| {
            tracing::error!("the signing log did not take an entry in time");
            LogUnavailable
        })?;
        recorded.map(|()| Receipt::default())
    }
}

impl Drop for SigningLog {
    fn drop(&mut self) {
        // What waits is still written, and the file is free again afterwards.
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for SigningLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningLog").finish_non_exhaustive()
    }
}
