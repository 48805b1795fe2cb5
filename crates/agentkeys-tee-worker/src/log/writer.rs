use std::{
    collections::HashSet,
    io,
    path::Path,
    sync::{Arc, mpsc as std_mpsc},
};

use agentkeys_api::BackupShares;
use agentkeys_commit::Groups;
use agentkeys_signer::Entry;
use agentkeys_tlog::{Audited, Checkpoint, Edge, LogFile, SignerKey, VerifierKey, frame};
use agentkeys_types::{Clock, Timestamp};
use tokio::sync::mpsc;

use super::{
    LogError,
    counter::{Count, Counter, CounterError, Distance},
    disk::Disk,
    group::{Done, Group, Waiting},
    leaf::Found,
    published::Published,
    ticker::Tick,
};

/// The most entries that one write and one sync carry.
const LARGEST_GROUP: usize = 1024;
/// After how many entries the counter goes up.
const ENTRIES_PER_COUNT: u64 = 256;
/// From how many bytes on the journal is long.
const LONG_JOURNAL: u64 = 4 * 1024 * 1024;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Record an entry.
    Append { entry: Entry, done: Done },
    /// Record who has shares of the master secret.
    Backup { time: Timestamp, backup: BackupShares, done: Done },
    /// See that nothing is left undone while nothing happens.
    Rest,
    /// See whether the counter may go up.
    Step,
}

/// Why a group is not on disk.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Counter(#[from] CounterError),
    #[error("the log could not be written: {0}")]
    File(#[from] io::Error),
    #[error("the group is too large")]
    TooLarge,
}

/// The one place that writes the log.
pub(super) struct Writer<D> {
    disk: D,
    key: SignerKey,
    clock: Arc<dyn Clock>,
    count: Count,
    /// All that is on the medium.
    edge: Edge,
    /// Its signed checkpoint.
    note: Arc<str>,
    /// How many bytes of the journal are on the medium.
    journal: u64,
    /// Whether nothing stands behind them.
    clean: bool,
    /// How many entries the last checkpoint outside the journal has, and the files that were not whole then.
    settled: (u64, Vec<String>),
    /// Files that were to be there with a newer checkpoint.
    drafts: Vec<String>,
    /// Files that are whole, and not written yet.
    unwritten: Vec<LogFile>,
    /// How many entries stand behind the last one of the counter.
    uncounted: u64,
    /// Who waits for the counter's next step, with an entry that is on the medium.
    waiting: Vec<Waiting>,
    /// Whether the counter is to go up as soon as it may.
    owes_step: bool,
    /// Whether the ticker was asked to say when that is.
    has_asked: bool,
    published: Arc<Published>,
}

/// What a writer begins with, of what it keeps.
struct Start {
    edge: Edge,
    note: Arc<str>,
    journal: u64,
    clean: bool,
    settled: (u64, Vec<String>),
    unwritten: Vec<LogFile>,
}

impl<D: Disk> Writer<D> {
    /// Begins a log on an empty disk.
    pub(super) fn begin(
        disk: D,
        folder: &Path,
        key: SignerKey,
        counter: Arc<dyn Counter>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        let count = Count::at_the_beginning(counter)?;
        let (edge, note) = (Edge::default(), "".into());
        let start = Start { edge, note, journal: 0, clean: true, settled: (0, Vec::new()), unwritten: Vec::new() };
        Self::start(disk, folder, key, clock, count, start)
    }

    /// Goes on where `audited` ends, and cuts off a torn group.
    pub(super) fn go_on(
        disk: D,
        folder: &Path,
        key: SignerKey,
        counter: Arc<dyn Counter>,
        clock: Arc<dyn Clock>,
        audited: Audited,
        found: &Found,
    ) -> Result<Self, LogError> {
        let count = Count::new(counter, found.counter);
        if let Distance::CutOff { counter, logged } = count.distance()? {
            return Err(LogError::CutOff { counter, logged });
        }
        let Audited { note, edge, settled, unsettled, journal, torn, settled_size, .. } = audited;
        let settled: Vec<String> = settled.into_iter().map(|file| file.path).collect();
        let mut disk = disk;
        for file in unsettled.iter().chain(&edge.files()) {
            disk.remove_beginnings(&file.path, &settled)?;
        }
        let settled = (settled_size, settled);
        let left = Start { edge, note: note.into(), journal, clean: torn == 0, settled, unwritten: unsettled };
        Self::start(disk, folder, key, clock, count, left)
    }

    fn start(
        disk: D,
        folder: &Path,
        key: SignerKey,
        clock: Arc<dyn Clock>,
        count: Count,
        start: Start,
    ) -> Result<Self, LogError> {
        let Start { edge, note, journal, clean, settled, unwritten } = start;
        let published = Arc::new(Published::new(folder.to_owned(), edge.tree().clone(), &note));
        let mut writer = Self {
            disk,
            key,
            clock,
            count,
            edge,
            note,
            journal,
            clean,
            settled,
            drafts: Vec::new(),
            unwritten,
            uncounted: 0,
            waiting: Vec::new(),
            owes_step: false,
            has_asked: false,
            published,
        };
        writer.boot()?;
        Ok(writer)
    }

    pub(super) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    pub(super) fn verifier(&self) -> &VerifierKey {
        self.key.verifier()
    }

    /// Writes entries until nobody can send any more, and is woken by the ticker in between.
    pub(super) fn run(&mut self, jobs: mpsc::Receiver<Job>, ticker: &std_mpsc::Sender<Tick>) {
        let mut groups = Groups::new(jobs, LARGEST_GROUP);
        let mut jobs = Vec::new();
        while groups.next(&mut jobs) {
            let rests = jobs.iter().any(|job| matches!(job, Job::Rest));
            self.has_asked &= !jobs.iter().any(|job| matches!(job, Job::Step));
            let written = self.write_jobs(&mut jobs, rests);
            let settled =
                written.and_then(|()| if rests || self.journal >= LONG_JOURNAL { Ok(self.settle()?) } else { Ok(()) });
            if let Err(error) = settled {
                tracing::error!(%error, "the log is not in order");
            }
            if self.owes_step && !self.has_asked {
                self.has_asked = ticker.send(Tick::After(self.count.rest(self.clock.now()))).is_ok();
            }
        }
        self.end();
    }

    /// Writes what waits, and has the counter go up where that is due and not too soon.
    fn write_jobs(&mut self, jobs: &mut Vec<Job>, rests: bool) -> Result<(), WriteError> {
        let mut group = Group::new(self.edge.clone());
        group.extend(jobs);
        let is_due = self.owes_step
            || group.has_counted()
            || self.uncounted + (group.size() - self.edge.tree().size()) >= ENTRIES_PER_COUNT
            || rests && self.uncounted > 0;
        let now = self.clock.now();
        let steps = is_due && self.count.rest(now).is_zero();
        self.owes_step = is_due && !steps;
        let logged = self.count.logged;
        let written = self.write(group, steps);
        if self.count.logged != logged {
            self.count.begin_rest(now);
        }
        written
    }

    /// Answers who still waits for the counter, and leaves nothing in the journal.
    fn end(&mut self) {
        let stepped = if self.waiting.is_empty() { Ok(()) } else { self.write(Group::new(self.edge.clone()), true) };
        if let Err(error) = stepped {
            tracing::error!(%error, "the log is not in order");
        }
        if let Err(error) = self.settle() {
            tracing::error!(%error, "the log's files stay behind its journal, which has everything");
        }
    }

    /// Has the counter go up, as at every start.
    fn boot(&mut self) -> Result<(), LogError> {
        let failed = |error| match error {
            WriteError::Counter(error) => LogError::Counter(error),
            WriteError::File(error) => LogError::File(error),
            WriteError::TooLarge => LogError::File(io::ErrorKind::FileTooLarge.into()),
        };
        self.write(Group::new(self.edge.clone()), true).map_err(failed)?;
        Ok(self.settle()?)
    }

    /// Writes a group, all of it or nothing, and answers everybody but those who have to wait for the counter, which
    /// goes up behind the group if it `steps`.
    fn write(&mut self, mut group: Group, steps: bool) -> Result<(), WriteError> {
        let written = self.prepare().and_then(|()| self.append(&mut group, steps));
        if let Err(error) = written {
            group.into_waiting().into_iter().for_each(Waiting::refuse);
            if steps {
                self.waiting.drain(..).for_each(Waiting::refuse);
            }
            return Err(error);
        }
        group.answer_signings(&self.note);
        self.waiting.extend(group.into_waiting());
        if !steps {
            return Ok(());
        }
        // A device that was let go must not come back by a log that was cut off.
        let counted = self.count.catch_up();
        for waiting in self.waiting.drain(..) {
            if counted.is_ok() { waiting.answer(&self.note) } else { waiting.refuse() }
        }
        Ok(counted?)
    }

    /// Makes good what did not work before. Until it is, nothing more is written.
    fn prepare(&mut self) -> Result<(), WriteError> {
        if !self.clean {
            self.disk.truncate(self.journal)?;
            self.clean = true;
        }
        self.write_files()?;
        self.count.catch_up()?;
        if self.journal >= LONG_JOURNAL {
            self.settle()?;
        }
        Ok(())
    }

    fn append(&mut self, group: &mut Group, is_due: bool) -> Result<(), WriteError> {
        if let (true, Some(counter)) = (is_due, self.count.next()) {
            group.count(self.clock.now(), counter).map_err(|_| WriteError::TooLarge)?;
        }
        if group.entries.is_empty() && self.edge.tree().size() > 0 {
            return Ok(());
        }
        let counter = group.counter.or(self.count.logged);
        let (size, root) = (group.size(), group.edge.tree().root());
        let note = Checkpoint::new(self.key.verifier().name(), size, root, counter).sign(&self.key);
        let note = note.map_err(|_| WriteError::TooLarge)?;
        let framed = frame(&group.entries, &note).ok_or(WriteError::TooLarge)?;
        self.clean = false;
        if let Err(error) = self.disk.append(&framed) {
            // Tried again before the next group, should it not work now.
            self.clean = self.disk.truncate(self.journal).is_ok();
            return Err(error.into());
        }
        self.clean = true;
        self.journal += framed.len() as u64;
        self.uncounted += size - self.edge.tree().size();
        if let Some(counter) = group.counter {
            self.count.log(counter);
            self.uncounted = 0;
        }
        self.edge = std::mem::take(&mut group.edge);
        self.note = note.into();
        self.unwritten.append(&mut group.whole);
        if let Err(error) = self.write_files() {
            // The journal has what they would.
            tracing::error!(%error, "the log's files could not be written");
        }
        self.published.replace(self.edge.tree().clone(), Arc::clone(&self.note));
        Ok(())
    }

    fn write_files(&mut self) -> io::Result<()> {
        while let Some(file) = self.unwritten.last() {
            self.disk.write(file)?;
            self.unwritten.pop();
        }
        Ok(())
    }

    /// Has the files hold all that the journal does, and the journal nothing.
    fn settle(&mut self) -> io::Result<()> {
        let size = self.edge.tree().size();
        if !self.clean {
            self.disk.truncate(self.journal)?;
            self.clean = true;
        }
        if size > self.settled.0 || size == 0 {
            self.write_files()?;
            let files = self.edge.files();
            // What the old checkpoint stands on stays untouched until the new one is there.
            for file in files.iter().filter(|file| !self.settled.1.contains(&file.path)) {
                self.drafts.push(file.path.clone());
                self.disk.write(file)?;
            }
            self.disk.sync()?;
            self.disk.replace_checkpoint(&self.note)?;
            let paths: Vec<String> = files.into_iter().map(|file| file.path).collect();
            let kept: HashSet<&String> = paths.iter().collect();
            let old = self.settled.1.iter().chain(&self.drafts).filter(|path| !kept.contains(path));
            old.for_each(|path| self.disk.remove(path));
            self.drafts.clear();
            self.settled = (size, paths);
        }
        if self.journal > 0 {
            self.disk.truncate(0)?;
            self.journal = 0;
        }
        Ok(())
    }
}
