use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use agentkeys_types::{Clock, SystemClock, Timestamp};

/// A clock that stands still until it is moved, or goes on from where it was moved to.
#[derive(Debug)]
pub struct ManualClock {
    /// What it shows, or by how much it differs from the clock of the system.
    seconds: AtomicI64,
    is_running: bool,
}

impl Default for ManualClock {
    /// The morning of 2026-12-22.
    fn default() -> Self {
        Self { seconds: AtomicI64::new(1_797_933_600), is_running: false }
    }
}

impl ManualClock {
    /// The time that it is, for a test with other people's servers; it goes on by itself.
    pub fn running() -> Self {
        Self { seconds: AtomicI64::new(0), is_running: true }
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.seconds.fetch_add(i64::try_from(by.as_secs()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Moves the clock back.
    pub fn step_back(&self, by: Duration) {
        self.seconds.fetch_sub(i64::try_from(by.as_secs()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let seconds = self.seconds.load(Ordering::SeqCst);
        let start = if self.is_running { SystemClock.now().as_unix() } else { 0 };
        Timestamp::from_unix(start + seconds)
    }
}
