use std::time::Duration;

use anyhow::ensure;

use crate::report::millis;

/// What a server made of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Revoked,
    /// Neither, and why.
    Unknown(String),
}

/// What became of a session after the answer that it was revoked.
#[derive(Debug)]
pub(super) struct Trial {
    /// At once.
    pub(super) broker: Verdict,
    /// In the end.
    pub(super) signer: Verdict,
    /// When that answer was there.
    pub(super) signer_took: Duration,
}

impl Trial {
    /// One that did not come so far.
    pub(super) fn failed(error: &anyhow::Error) -> Self {
        let verdict = Verdict::Unknown(format!("{error:#}"));
        Self { broker: verdict.clone(), signer: verdict, signer_took: Duration::ZERO }
    }
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) trials: Vec<Trial>,
    pub(super) elapsed: Duration,
    /// At broker and signer.
    pub(super) after_restart: Vec<[Verdict; 2]>,
    /// At broker and signer.
    pub(super) after_restore: Vec<[Verdict; 2]>,
}

impl Tally {
    pub(super) fn lines(&self) -> Vec<String> {
        let trials = self.trials.len();
        let mut took: Vec<_> = self.trials.iter().map(|trial| trial.signer_took).collect();
        took.sort();
        let at = |percent: usize| {
            millis(took.get((trials * percent / 100).min(trials.saturating_sub(1))).copied().unwrap_or_default())
        };
        let mut lines = vec![
            format!("revocation: {trials} sessions in {:.1} s", self.elapsed.as_secs_f64()),
            format!("at the broker: {} accepted after the answer", accepted(self.at_broker())),
            format!(
                "at the signer: {} still accepted in the end; refused after ms: p50 {}, p99 {}, max {}",
                accepted(self.at_signer()),
                at(50),
                at(99),
                at(100),
            ),
        ];
        for (what, shown) in [("a crash and a restart", &self.after_restart), ("a restore", &self.after_restore)] {
            let [broker, signer] = [0, 1].map(|server| accepted(shown.iter().map(|verdicts| &verdicts[server])));
            let count = shown.len();
            lines.push(format!("after {what}: of {count} {broker} accepted at the broker, {signer} at the signer"));
        }
        lines.extend(self.unknown().next().map(|first| format!("neither accepted nor revoked: {first}")));
        lines
    }

    /// Fails if anything was accepted, or nothing can be said.
    pub(super) fn judge(&self, signer_limit: Duration) -> anyhow::Result<()> {
        let late = self.trials.iter().filter(|trial| trial.signer_took > signer_limit).count();
        let unknown = self.unknown().count();
        ensure!(self.all().all(|verdict| *verdict != Verdict::Accepted), "revoked sessions were accepted");
        ensure!(late == 0, "{late} sessions were refused too late");
        ensure!(unknown == 0, "{unknown} answers said neither yes nor no");
        Ok(())
    }

    fn at_broker(&self) -> impl Iterator<Item = &Verdict> {
        self.trials.iter().map(|trial| &trial.broker)
    }

    fn at_signer(&self) -> impl Iterator<Item = &Verdict> {
        self.trials.iter().map(|trial| &trial.signer)
    }

    fn all(&self) -> impl Iterator<Item = &Verdict> {
        let later = self.after_restart.iter().chain(&self.after_restore).flatten();
        self.at_broker().chain(self.at_signer()).chain(later)
    }

    fn unknown(&self) -> impl Iterator<Item = &String> {
        self.all().filter_map(|verdict| match verdict {
            Verdict::Unknown(why) => Some(why),
            Verdict::Accepted | Verdict::Revoked => None,
        })
    }
}

fn accepted<'v>(verdicts: impl Iterator<Item = &'v Verdict>) -> usize {
    verdicts.filter(|verdict| **verdict == Verdict::Accepted).count()
}
