use std::{
    error::Error,
    fmt,
    sync::Arc,
    thread::{self, JoinHandle},
};

use agentkeys_commit::Groups;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::open::failed;
use crate::{Entry, Head, StoreError};

/// How many jobs share one commit at most.
const LARGEST_GROUP: usize = 256;

/// What a job leaves behind.
#[derive(Debug)]
pub(super) enum Change<T> {
    /// What it wrote.
    Keep(T),
    /// Nothing: everything that it wrote is taken back.
    Undo(T),
}

/// The one thread that writes.
///
/// While one group of jobs is being synced to disk the next one gathers, so that a sync is paid for once by
/// everybody who waits for it. Nobody is answered before the commit.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which owns the connection from now on.
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, waiting) = mpsc::channel(LARGEST_GROUP);
        let mut work = Work { connection, head: None, version: None };
        work.load_head()?;
        let thread = thread::Builder::new()
            .name("agentkeys-store".to_owned())
            .spawn(move || work.run(waiting))
            .map_err(failed)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs a job and returns once what it wrote is on disk. It is taken back alone if it fails.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<Change<T>, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(work, true).await
    }

    /// As [`Writer::write`], without the cost of a savepoint.
    ///
    /// For a job that is refused before it has written anything, or not at all: where it fails halfway, its whole
    /// group fails.
    pub(super) async fn write_unguarded<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(|transaction| work(transaction).map(Change::Keep), false).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<Change<T>, StoreError> + Send + 'static,
        guarded: bool,
    ) -> Result<T, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let job = Box::new(Pending { work: Some(work), guarded, result: None, answer });
        let jobs = self.jobs.as_ref().ok_or_else(|| failed(WriterEnded))?;
        jobs.send(job).await.map_err(|_| failed(WriterEnded))?;
        outcome.await.map_err(|_| failed(WriterEnded))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic on the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// The writer thread has ended, which it does only when it panics.
#[derive(Debug, thiserror::Error)]
#[error("the writer has ended")]
struct WriterEnded;

/// Why a group was not written, for each of its jobs.
#[derive(Clone, Debug)]
struct GroupFailed(Arc<dyn Error + Send + Sync>);

impl From<StoreError> for GroupFailed {
    fn from(StoreError(cause): StoreError) -> Self {
        Self(cause.into())
    }
}

/// The transaction of a group, as a job sees it.
pub(super) struct Transaction<'c> {
    /// For the job's own statements.
    pub(super) connection: &'c Connection,
    head: Head,
}

impl Transaction<'_> {
    /// Appends an entry to the audit record.
    pub(super) fn record(&mut self, entry: &Entry) -> rusqlite::Result<()> {
        self.head = self.head.append(self.connection, entry)?;
        Ok(())
    }
}

/// Something to write, without its types.
trait Job: Send {
    /// Writes; an error is the group's.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Result<(), GroupFailed>;

    /// Tells whoever waits.
    fn answer(self: Box<Self>, committed: Result<(), GroupFailed>);
}

struct Pending<W, T> {
    work: Option<W>,
    guarded: bool,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<W, T> Pending<W, T>
where
    W: FnOnce(&mut Transaction<'_>) -> Result<Change<T>, StoreError> + Send,
{
    fn run_guarded(work: W, transaction: &mut Transaction<'_>) -> Result<Result<T, StoreError>, StoreError> {
        let (connection, head) = (transaction.connection, transaction.head);
        execute(connection, "SAVEPOINT job")?;
        let result = match work(transaction) {
            Ok(Change::Keep(value)) => {
                execute(connection, "RELEASE job")?;
                return Ok(Ok(value));
            }
            Ok(Change::Undo(value)) => Ok(value),
            // On some errors of the disk SQLite has rolled everything back by itself.
            Err(error) if connection.is_autocommit() => return Err(error),
            Err(error) => Err(error),
        };
        execute(connection, "ROLLBACK TO job")?;
        execute(connection, "RELEASE job")?;
        transaction.head = head;
        Ok(result)
    }
}

impl<W, T> Job for Pending<W, T>
where
    W: FnOnce(&mut Transaction<'_>) -> Result<Change<T>, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Result<(), GroupFailed> {
        let Some(work) = self.work.take() else { return Ok(()) };
        self.result = Some(if self.guarded {
            Self::run_guarded(work, transaction)?
        } else {
            match work(transaction)? {
                Change::Keep(value) | Change::Undo(value) => Ok(value),
            }
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), GroupFailed>) {
        let result = match committed {
            Ok(()) => self.result.unwrap_or_else(|| Err(failed(WriterEnded))),
            Err(GroupFailed(cause)) => Err(StoreError(Box::new(cause))),
        };
        // Whoever asked may have gone away; what was written stays.
        let _ = self.answer.send(result);
    }
}

/// What the thread owns.
struct Work {
    connection: Connection,
    /// The last audit entry, unless it must be read again.
    head: Option<Head>,
    /// Changes when another process has written.
    version: Option<i64>,
}

impl Work {
    fn run(mut self, waiting: mpsc::Receiver<Box<dyn Job>>) {
        let mut groups = Groups::new(waiting, LARGEST_GROUP);
        let mut group = Vec::with_capacity(LARGEST_GROUP);
        while groups.next(&mut group) {
            let committed = self.commit(&mut group);
            for job in group.drain(..) {
                job.answer(committed.clone());
            }
        }
    }

    /// Runs a group in one transaction. On an error nothing of it was written.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), GroupFailed> {
        let committed = self.try_commit(group);
        if committed.is_err() {
            self.head = None;
            if !self.connection.is_autocommit()
                && let Err(error) = execute(&self.connection, "ROLLBACK")
            {
                tracing::error!(%error, "a failed transaction could not be rolled back");
            }
        }
        committed
    }

    fn try_commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), GroupFailed> {
        execute(&self.connection, "BEGIN IMMEDIATE")?;
        let head = self.load_head()?;
        let mut transaction = Transaction { connection: &self.connection, head };
        for job in group {
            job.run(&mut transaction)?;
        }
        let head = transaction.head;
        execute(&self.connection, "COMMIT")?;
        self.head = Some(head);
        Ok(())
    }

    /// The last audit entry, read again only after an error or another process's write.
    fn load_head(&mut self) -> Result<Head, StoreError> {
        let version = self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        match self.head {
            Some(head) if self.version == Some(version) => Ok(head),
            _ => {
                let head = Head::load(&self.connection)?;
                (self.head, self.version) = (Some(head), Some(version));
                Ok(head)
            }
        }
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests;
