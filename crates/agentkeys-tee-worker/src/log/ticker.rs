use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::writer::Job;

/// How long entries stay without a counter behind them, and the files behind the journal, while nothing happens.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// What the ticker is told.
pub(super) enum Tick {
    /// The counter may go up after so long.
    After(Duration),
    /// There is nobody to wake any more.
    End,
}

/// Wakes the writer when it rests, and when it may take a step that it owes.
pub(super) fn run(ticks: &Receiver<Tick>, writer: &mpsc::Sender<Job>) {
    let (mut rest, mut step) = (Instant::now() + LONGEST_REST, None);
    loop {
        let next = step.unwrap_or(rest).min(rest);
        match ticks.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Tick::After(wait)) => step = Some(Instant::now() + wait),
            Ok(Tick::End) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let job = if next == rest {
                    rest = Instant::now() + LONGEST_REST;
                    Job::Rest
                } else {
                    step = None;
                    Job::Step
                };
                let _ = writer.blocking_send(job);
            }
        }
    }
}
