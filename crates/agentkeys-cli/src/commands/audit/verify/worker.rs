use std::{fs, path::Path};

use agentkeys_api::LogEntry;
use agentkeys_tlog::{AuditError, Audited, Checkpoint, Hash, Tree, VerifierKey, audit};

use super::{Verified, broken, unreadable};
use crate::{error::CliError, progress::Progress};

/// Checks the transparency log of a worker, and that it goes on from a checkpoint that was kept.
pub(super) fn verify(
    folder: &Path,
    key: Option<&VerifierKey>,
    kept: Option<&Path>,
    progress: &mut Progress<'_>,
) -> Result<Verified, CliError> {
    let kept = kept.map(|path| Kept::read(path, key)).transpose()?;
    let mut order = Order { kept_size: kept.as_ref().map_or(0, |kept| kept.0.size), ..Order::default() };
    let mut visit = |index, leaf: &[u8]| {
        progress.step();
        order.note(index, leaf)
    };
    let audited = audit(folder, key, &mut visit).map_err(|error| match error {
        AuditError::Broken { place, reason } => broken(folder, &place, &reason),
        AuditError::File { path, source } => unreadable(&path, &source),
        error => unreadable(folder, &error),
    })?;
    let Audited { checkpoint, torn, .. } = audited;
    if order.counter != checkpoint.counter() {
        return Err(broken(folder, &"checkpoint", &"its counter is not that of the entries"));
    }
    if let Some(kept) = &kept {
        kept.compare(folder, &checkpoint, order.kept.root())?;
    }
    Ok(Verified {
        entries: checkpoint.size,
        root: Some(checkpoint.root.to_string()),
        counter: checkpoint.counter(),
        origin: Some(checkpoint.origin),
        is_signed: key.is_some(),
        kept: kept.map(|kept| kept.0.size),
        torn_bytes: torn,
        ..order.verified
    })
}

/// What each entry has to say after those before it.
#[derive(Default)]
struct Order {
    verified: Verified,
    counter: Option<u64>,
    kept_size: u64,
    /// The entries that the kept checkpoint has.
    kept: Tree,
}

impl Order {
    fn note(&mut self, index: u64, leaf: &[u8]) -> Result<(), String> {
        let entry = LogEntry::read(leaf).ok_or("it is no entry of a signing log")?;
        if entry.seq() != index {
            return Err(format!("it calls itself entry {}", entry.seq()));
        }
        if let LogEntry::Counter(entry) = &entry {
            if let Some(before) = self.counter.filter(|before| before.checked_add(1) != Some(entry.counter)) {
                return Err(format!("the counter goes from {before} to {}", entry.counter));
            }
            self.counter = Some(entry.counter);
        }
        self.verified.note(entry.time());
        if index < self.kept_size {
            self.kept.append(Hash::of_leaf(leaf), &mut Vec::new());
        }
        Ok(())
    }
}

/// A checkpoint that somebody kept.
struct Kept(Checkpoint);

impl Kept {
    fn read(path: &Path, key: Option<&VerifierKey>) -> Result<Self, CliError> {
        let note = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let checkpoint = key.map_or_else(|| Checkpoint::open_unverified(&note), |key| Checkpoint::open(&note, key));
        checkpoint.map(Self).map_err(|error| unreadable(path, &error))
    }

    fn compare(&self, folder: &Path, now: &Checkpoint, root: Hash) -> Result<(), CliError> {
        let Self(kept) = self;
        let wrong = |reason: String| Err(broken(folder, &"checkpoint", &reason));
        if kept.origin != now.origin {
            return wrong(format!("it is of the log {}, and the one that was kept of {}", now.origin, kept.origin));
        }
        if kept.size > now.size {
            let (had, has) = (kept.size, now.size);
            return wrong(format!("the one that was kept has {had} entries, and it has {has}: the rest is missing"));
        }
        if kept.root != root {
            return wrong(format!("its first {} entries are not those of the one that was kept", kept.size));
        }
        Ok(())
    }
}
