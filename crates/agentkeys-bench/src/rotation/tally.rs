use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// What went well, and what did not.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    minted: u64,
    rotations: u64,
    /// The keys that JWTs were signed with.
    kids: BTreeSet<String>,
    succeeded: BTreeMap<&'static str, u64>,
    failed: BTreeMap<&'static str, (u64, String)>,
}

impl Tally {
    /// A JWT was minted, and verified by the key of this name.
    pub(super) fn minted_by(&self, verified: anyhow::Result<String>) {
        self.with(|counts| counts.minted += 1);
        match verified {
            Ok(kid) => {
                self.with(|counts| counts.kids.insert(kid));
            }
            Err(error) => self.failed("verification", &format!("{error:#}")),
        }
    }

    pub(super) fn rotated(&self) {
        self.with(|counts| counts.rotations += 1);
    }

    /// Something else was tried.
    pub(super) fn note(&self, what: &'static str, outcome: anyhow::Result<()>) {
        match outcome {
            Ok(()) => self.with(|counts| *counts.succeeded.entry(what).or_default() += 1),
            Err(error) => self.failed(what, &format!("{error:#}")),
        }
    }

    /// Something failed; of each kind, the first complaint is kept.
    pub(super) fn failed(&self, what: &'static str, complaint: &str) {
        self.with(|counts| counts.failed.entry(what).or_insert_with(|| (0, complaint.to_owned())).0 += 1);
    }

    pub(super) fn minted(&self) -> u64 {
        self.with(|counts| counts.minted)
    }

    pub(super) fn rotations(&self) -> u64 {
        self.with(|counts| counts.rotations)
    }

    /// How many keys have signed JWTs.
    pub(super) fn kids(&self) -> u64 {
        self.with(|counts| counts.kids.len() as u64)
    }

    /// A line for each kind of failure.
    pub(super) fn failures(&self) -> Vec<String> {
        let told = |(what, (count, first)): (&&str, &(u64, String))| format!("{what}: {count} failed; first: {first}");
        self.with(|counts| counts.failed.iter().map(told).collect())
    }

    pub(super) fn summary(&self, elapsed: Duration) -> String {
        self.with(|counts| {
            let failures: u64 = counts.failed.values().map(|(count, _)| count).sum();
            let others: Vec<_> = counts.succeeded.iter().map(|(what, count)| format!("{count} × {what}")).collect();
            format!(
                "key rotation: {} rotations in {:.0} s, {} JWTs minted ({:.0} a second) by {} keys and verified, {}: {failures} failures",
                counts.rotations,
                elapsed.as_secs_f64(),
                counts.minted,
                f64::from(u32::try_from(counts.minted).unwrap_or(u32::MAX)) / elapsed.as_secs_f64(),
                counts.kids.len(),
                others.join(", "),
            )
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
