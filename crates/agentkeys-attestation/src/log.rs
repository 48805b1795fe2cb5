//! The signing log, as far as a checkpoint tells.

use agentkeys_api::attestation::Bound;
use agentkeys_tlog::{Checkpoint, VerifierKey};

use crate::{Pinned, Policy};

/// Checks that the checkpoint is the log's own, and not older than the one that is remembered.
///
/// That the log still begins with all that it had is for a consistency proof to show, which needs its tiles. What the
/// counter says is that of a machine, and a restored worker has another.
pub(crate) fn verify(bound: &Bound, policy: &Policy, pinned: &Pinned) -> Result<String, String> {
    let key: VerifierKey = bound.log_vkey.parse().map_err(|_| "`log_vkey` is not the key of a log".to_owned())?;
    if policy.log_origin.as_deref().is_some_and(|origin| origin != key.name()) {
        return Err(format!("the log is {}, which is not the one that the policy names", key.name()));
    }
    let latest = Checkpoint::open(&bound.log_checkpoint, &key).map_err(|error| error.to_string())?;
    let Some(note) = &pinned.checkpoint else {
        return Ok(format!("{} with {} entries, seen for the first time", key.name(), latest.size));
    };
    let last = Checkpoint::open(note, &key).map_err(|_| "another log than the one that is remembered".to_owned())?;
    if latest.size < last.size {
        return Err(format!("the log has {} entries, and had {}: it was cut off", latest.size, last.size));
    }
    if latest.size == last.size && latest.root != last.root {
        return Err("the log has other entries than it had".to_owned());
    }
    Ok(format!("{} with {} entries", key.name(), latest.size))
}
