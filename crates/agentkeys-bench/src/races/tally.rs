use std::{collections::BTreeMap, time::Instant};

use super::Race;

/// What was seen of one kind.
pub(super) struct Tally<'r> {
    pub(super) rounds: usize,
    pub(super) successes: usize,
    kind: &'r dyn Race,
    requests: usize,
    /// Rounds with more or fewer successes than there may be.
    unfair: usize,
    answers: BTreeMap<u16, usize>,
    started: Instant,
}

impl<'r> Tally<'r> {
    pub(super) fn of(kind: &'r dyn Race) -> Self {
        let (started, answers) = (Instant::now(), BTreeMap::new());
        Self { rounds: 0, successes: 0, kind, requests: 0, unfair: 0, answers, started }
    }

    /// Counts what was answered in a round.
    pub(super) fn count(&mut self, statuses: &[u16]) {
        if self.rounds == 0 {
            self.started = Instant::now();
        }
        let successes = statuses.iter().filter(|status| self.kind.is_success(**status)).count();
        self.rounds += 1;
        self.requests += statuses.len();
        self.successes += successes;
        self.unfair += usize::from(successes != self.kind.most());
        for status in statuses {
            *self.answers.entry(*status).or_default() += 1;
        }
    }

    pub(super) fn is_about(&self, kind: &dyn Race) -> bool {
        self.kind.name() == kind.name()
    }

    /// Whether each round had the successes that it must, and no broker failed.
    pub(super) fn is_fair(&self) -> bool {
        self.rounds > 0 && self.unfair == 0 && self.answers.keys().all(|status| *status < 500)
    }

    pub(super) fn line(&self) -> String {
        let answers: Vec<_> = self.answers.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        let most = match self.kind.most() {
            1 => "one".to_owned(),
            most => most.to_string(),
        };
        format!(
            "{}: {} rounds, {} requests, {} successes, {} rounds with more or less than {most}; {} in {:.0} s",
            self.kind.name(),
            self.rounds,
            self.requests,
            self.successes,
            self.unfair,
            answers.join(", "),
            self.started.elapsed().as_secs_f64(),
        )
    }
}
