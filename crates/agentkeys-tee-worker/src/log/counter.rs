use std::{fmt, sync::Arc, time::Duration};

use agentkeys_types::Timestamp;

/// How long the counter rests between two steps: it wears out, and a TPM refuses to count too fast.
const BETWEEN_STEPS: Duration = Duration::from_secs(2);

/// The platform's counter did not answer as it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the counter that shows a cut-off log failed: {0}")]
pub struct CounterError(pub String);

/// A counter that only goes up, whatever becomes of the disk. Its methods block.
pub trait Counter: Send + Sync + fmt::Debug {
    /// What it says; `None` where the platform has none.
    fn read(&self) -> Result<Option<u64>, CounterError>;

    /// Counts one further, and gives what it says then.
    fn bump(&self) -> Result<Option<u64>, CounterError>;
}

/// The counter, and what the log on disk says of it.
#[derive(Debug)]
pub(super) struct Count {
    counter: Arc<dyn Counter>,
    /// The last value in the log; `None` where the platform has no counter.
    pub(super) logged: Option<u64>,
    /// Whether the counter may be behind that.
    is_behind: bool,
    /// When the log last said that it goes up, apart from a start.
    stepped_at: Option<Timestamp>,
}

/// How far a counter is from what a log says.
pub(super) enum Distance {
    /// As far, or one behind: a crash came in between.
    Near,
    /// The log says less, or something else altogether.
    CutOff { counter: u64, logged: u64 },
}

impl Count {
    /// A log that says `logged`.
    pub(super) fn new(counter: Arc<dyn Counter>, logged: Option<u64>) -> Self {
        Self { counter, logged, is_behind: logged.is_some(), stepped_at: None }
    }

    /// A log that is to begin.
    pub(super) fn at_the_beginning(counter: Arc<dyn Counter>) -> Result<Self, CounterError> {
        let logged = counter.read()?;
        Ok(Self { counter, logged, is_behind: false, stepped_at: None })
    }

    pub(super) fn distance(&self) -> Result<Distance, CounterError> {
        Ok(match (self.counter.read()?, self.logged) {
            (None, None) => Distance::Near,
            (Some(counter), Some(logged)) if counter == logged || counter.checked_add(1) == Some(logged) => {
                Distance::Near
            }
            (counter, logged) => Distance::CutOff { counter: counter.unwrap_or(0), logged: logged.unwrap_or(0) },
        })
    }

    /// What the log is to say next, if there is a counter.
    pub(super) fn next(&self) -> Option<u64> {
        self.logged?.checked_add(1)
    }

    /// How long it is until the counter may go up, where there is one.
    pub(super) fn rest(&self, now: Timestamp) -> Duration {
        // A clock that was set back is no reason to wait.
        let stepped_at = self.stepped_at.filter(|stepped_at| self.logged.is_some() && *stepped_at <= now);
        stepped_at.map_or(Duration::ZERO, |stepped_at| stepped_at.after(BETWEEN_STEPS).since(now))
    }

    /// Notes that the log says `counter`, on disk.
    pub(super) fn log(&mut self, counter: u64) {
        (self.logged, self.is_behind) = (Some(counter), true);
    }

    /// Has the counter rest from `now` on.
    pub(super) fn begin_rest(&mut self, now: Timestamp) {
        self.stepped_at = Some(now);
    }

    /// Has the counter at what the log says.
    pub(super) fn catch_up(&mut self) -> Result<(), CounterError> {
        if !self.is_behind {
            return Ok(());
        }
        let mut now = self.counter.read()?;
        if now.and_then(|now| now.checked_add(1)) == self.logged {
            now = self.counter.bump()?;
        }
        if now != self.logged {
            return Err(CounterError(format!("it is at {now:?}, and the log says {:?}", self.logged)));
        }
        self.is_behind = false;
        Ok(())
    }
}
