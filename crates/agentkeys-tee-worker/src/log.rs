//! The worker's record: a transparency log (C2SP tlog-tiles) that shows when entries are missing.
//!
//! An entry is on disk, in a journal, before it is answered for, in a group that shares one sync and one signed
//! checkpoint. The files of tlog-tiles are written from it: whole ones as they become whole, the others and the file
//! `checkpoint` when the journal is long, when nothing happens, and at the end; then the journal begins anew.
//!
//! A [`Counter`] that no disk can turn back shows a log that was: the log first says, on disk, what the counter will
//! be, and then counts. So the counter is at what the last entry of its kind says, or one behind where a crash came
//! between the two. A log that says less was cut off. Counters wear out, so this one goes up at most every two seconds,
//! for all together who wait for it.

mod adopt;
mod counter;
mod disk;
mod group;
mod leaf;
mod published;
mod routes;
#[cfg(test)]
mod tests;
mod ticker;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{Arc, mpsc as std_mpsc},
    thread,
    time::Duration,
};

use agentkeys_api::{BackupShares, DeviceChange};
use agentkeys_signer::{Entry, LogUnavailable, Receipt, SigningRecord};
use agentkeys_tlog::{AuditError, Audited, NoteError, SignerKey, TileId, VerifierKey, audit};
use agentkeys_types::{Clock, OmniAccount, Timestamp};
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use self::{
    disk::{Disk, LogFolder},
    leaf::Found,
    published::Published,
    ticker::Tick,
    writer::{Job, Writer},
};

pub(crate) use self::routes::DescribedLog;
pub use self::{
    counter::{Counter, CounterError},
    routes::log_routes,
};

/// How many entries may wait at once.
const QUEUE: usize = 4096;
/// How long a caller waits for its entry to be on disk.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why a log is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// It is not what this worker wrote, or not all of it could be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The counter could not be read or counted.
    #[error(transparent)]
    Counter(#[from] CounterError),
    /// It is older than the counter: entries are missing at its end.
    #[error("the log was cut off: it ends at counter {logged}, and the counter is at {counter}")]
    CutOff {
        /// What the platform's counter says; 0 when it has none any more.
        counter: u64,
        /// What the log says; 0 when it has none.
        logged: u64,
    },
    /// There is one already, so that none can begin here.
    #[error("there is a log already")]
    Exists,
    /// It could not be written or locked.
    #[error("the log could not be used: {0}")]
    File(#[from] std::io::Error),
    /// Another process writes it.
    #[error("another worker is using the log")]
    InUse,
    /// Its name is none that a log can have.
    #[error("the log's name: {0}")]
    Origin(#[from] NoteError),
}

/// A transparency log on disk, which this process alone writes.
pub struct TransparencyLog {
    queue: Option<mpsc::Sender<Job>>,
    ticker: std_mpsc::Sender<Tick>,
    threads: Vec<thread::JoinHandle<()>>,
    published: Arc<Published>,
    key: VerifierKey,
    devices: Vec<(OmniAccount, Timestamp, DeviceChange)>,
}

impl TransparencyLog {
    /// Begins a log in `folder`, made where it is missing: for the first boot of a machine only.
    ///
    /// One whose beginning a crash has cut short begins again.
    pub fn create(
        folder: &Path,
        origin: &str,
        log_key_seed: &[u8; 32],
        counter: Arc<dyn Counter>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        let key = SignerKey::from_seed(origin, log_key_seed)?;
        let disk = LogFolder::create(folder)?;
        Self::begin(disk, folder, key, counter, clock)
    }

    /// Opens the log in `folder`, after checking all of it.
    ///
    /// # Errors
    ///
    /// When there is none, too: one that is gone is cut off at its beginning.
    pub fn open(
        folder: &Path,
        origin: &str,
        log_key_seed: &[u8; 32],
        counter: Arc<dyn Counter>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        let key = SignerKey::from_seed(origin, log_key_seed)?;
        let disk = LogFolder::open(folder)?;
        Self::go_on(disk, folder, key, counter, clock)
    }

    /// Records who has shares of the master secret, and returns once it is on disk. Blocks.
    pub fn append_backup(&self, time: Timestamp, backup: BackupShares) -> Result<Receipt, LogUnavailable> {
        let queue = self.queue.as_ref().ok_or(LogUnavailable)?;
        let (done, recorded) = oneshot::channel();
        queue.blocking_send(Job::Backup { time, backup, done }).map_err(|_| LogUnavailable)?;
        recorded.blocking_recv().map_err(|_| LogUnavailable)?
    }

    /// What verifies its checkpoints; the text form says its name, too.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.key
    }

    /// The latest signed checkpoint.
    pub fn checkpoint(&self) -> Arc<str> {
        self.published.note()
    }

    /// The bytes of a tile of hashes, if the log has grown that far. Blocks.
    pub fn tile(&self, id: TileId) -> std::io::Result<Option<Vec<u8>>> {
        self.published.tile(id)
    }

    fn begin(
        disk: impl Disk + 'static,
        folder: &Path,
        key: SignerKey,
        counter: Arc<dyn Counter>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        let writer = Writer::begin(disk, folder, key, counter, clock)?;
        Ok(Self::start(writer, Vec::new())?)
    }

    fn go_on(
        disk: impl Disk + 'static,
        folder: &Path,
        key: SignerKey,
        counter: Arc<dyn Counter>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        let (audited, found) = Self::read(folder, &key)?;
        let writer = Writer::go_on(disk, folder, key, counter, clock, audited, &found)?;
        Ok(Self::start(writer, found.devices)?)
    }

    /// All of a log, checked under its key.
    fn read(folder: &Path, key: &SignerKey) -> Result<(Audited, Found), LogError> {
        let mut found = Found::default();
        let audited = audit(folder, Some(key.verifier()), &mut |_, leaf| found.note(leaf))?;
        if audited.torn > 0 {
            tracing::warn!(bytes = audited.torn, "the log ended in the middle of a group, which is cut off");
        }
        Ok((audited, found))
    }

    fn start(
        mut writer: Writer<impl Disk + 'static>,
        devices: Vec<(OmniAccount, Timestamp, DeviceChange)>,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (ticker, ticks) = std_mpsc::channel();
        let (published, key, waker) = (writer.published(), writer.verifier().clone(), queue.clone());
        let to_ticker = ticker.clone();
        let writing = thread::Builder::new().name("log".to_owned()).spawn(move || writer.run(jobs, &to_ticker))?;
        let ticking =
            thread::Builder::new().name("log-ticker".to_owned()).spawn(move || ticker::run(&ticks, &waker))?;
        let threads = vec![ticking, writing];
        Ok(Self { queue: Some(queue), ticker, threads, published, key, devices })
    }
}

#[async_trait]
impl SigningRecord for TransparencyLog {
    async fn append(&self, entry: Entry) -> Result<Receipt, LogUnavailable> {
        let queue = self.queue.as_ref().ok_or(LogUnavailable)?;
        let (done, recorded) = oneshot::channel();
        let waiting = async {
            queue.send(Job::Append { entry, done }).await.map_err(|_| LogUnavailable)?;
            recorded.await.map_err(|_| LogUnavailable)?
        };
        tokio::time::timeout(LONGEST_WAIT, waiting).await.map_err(|_| {
            tracing::error!("the log did not take an entry in time");
            LogUnavailable
        })?
    }

    fn device_changes(&self) -> Vec<(OmniAccount, Timestamp, DeviceChange)> {
        self.devices.clone()
    }
}

impl Drop for TransparencyLog {
    fn drop(&mut self) {
        // What waits is still written, and all of it stands in the log's files afterwards.
        let _ = self.ticker.send(Tick::End);
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for TransparencyLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TransparencyLog").field("key", &self.key).finish_non_exhaustive()
    }
}
