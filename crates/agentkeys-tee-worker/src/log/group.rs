use std::sync::Arc;

use agentkeys_signer::{Event, LogUnavailable, Receipt};
use agentkeys_tlog::{Edge, LogFile};
use agentkeys_types::Timestamp;
use tokio::sync::oneshot;

use super::{leaf, writer::Job};

/// Whoever waits for an entry.
pub(super) type Done = oneshot::Sender<Result<Receipt, LogUnavailable>>;

/// The entries that one sync and one checkpoint carry.
pub(super) struct Group {
    /// The log with them.
    pub(super) edge: Edge,
    /// As they go into the journal.
    pub(super) entries: Vec<u8>,
    /// The files that become whole by them.
    pub(super) whole: Vec<LogFile>,
    /// The value of the counter that it ends with, if it does.
    pub(super) counter: Option<u64>,
    waiting: Vec<Waiting>,
    latest: Option<Timestamp>,
}

/// Somebody who waits for an entry of a group.
pub(super) struct Waiting {
    done: Done,
    index: u64,
    leaf: Arc<[u8]>,
    needs_counter: bool,
}

impl Group {
    /// A group that goes on from `edge`.
    pub(super) fn new(edge: Edge) -> Self {
        Self { edge, entries: Vec::new(), whole: Vec::new(), counter: None, waiting: Vec::new(), latest: None }
    }

    /// Takes what waits.
    pub(super) fn extend(&mut self, jobs: &mut Vec<Job>) {
        for job in jobs.drain(..) {
            let (time, needs_counter, leaf, done): (_, _, Result<Vec<u8>, _>, _) = match job {
                Job::Append { entry, done } => {
                    let (time, needs_counter) = (entry.time, matches!(entry.event, Event::Device(_)));
                    (time, needs_counter, leaf::of_entry(self.size(), entry), done)
                }
                Job::Backup { time, backup, done } => {
                    (time, true, Ok(leaf::of_backup(self.size(), time, backup)), done)
                }
                Job::Rest | Job::Step => continue,
            };
            let appended = leaf.and_then(|leaf| Ok((self.append(&leaf)?, leaf)));
            match appended {
                Ok((index, leaf)) => {
                    self.latest = Some(time);
                    self.waiting.push(Waiting { done, index, leaf: leaf.into(), needs_counter });
                }
                // Who no longer waits does not act either.
                Err(refused) => drop(done.send(Err(refused))),
            }
        }
    }

    /// Ends it with what the counter will be.
    pub(super) fn count(&mut self, now: Timestamp, counter: u64) -> Result<(), LogUnavailable> {
        self.append(&leaf::of_counter(self.size(), self.latest.unwrap_or(now), counter))?;
        self.counter = Some(counter);
        Ok(())
    }

    pub(super) fn size(&self) -> u64 {
        self.edge.tree().size()
    }

    pub(super) fn has_counted(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.needs_counter)
    }

    /// Tells those whose entry needs no counter behind it.
    pub(super) fn answer_signings(&mut self, note: &Arc<str>) {
        for waiting in self.waiting.extract_if(.., |waiting| !waiting.needs_counter) {
            waiting.answer(note);
        }
    }

    /// Those whose entry needs one.
    pub(super) fn into_waiting(self) -> Vec<Waiting> {
        self.waiting
    }

    fn append(&mut self, leaf: &[u8]) -> Result<u64, LogUnavailable> {
        let index = self.size();
        if !self.edge.append(leaf, &mut self.whole) || !agentkeys_tlog::push_leaf(&mut self.entries, leaf) {
            return Err(LogUnavailable);
        }
        Ok(index)
    }
}

impl Waiting {
    /// Tells that the entry is in the log of which `note` is a checkpoint.
    pub(super) fn answer(self, note: &Arc<str>) {
        let receipt = Receipt { checkpoint: Some(Arc::clone(note)), leaf: Some((self.index, self.leaf)) };
        let _ = self.done.send(Ok(receipt));
    }
    /// Tells that it did not work.
    pub(super) fn refuse(self) {
        let _ = self.done.send(Err(LogUnavailable));
    }
}
