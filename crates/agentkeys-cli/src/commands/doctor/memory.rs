use agentkeys_memory::{Protection, protection};

use super::finding::Finding;

const NAME: &str = "memory";

/// How well a daemon's secrets are kept apart on this machine.
pub(super) fn check() -> Finding {
    judge(protection())
}

fn judge(found: Protection) -> Finding {
    match found {
        Protection::SecretMemory => Finding::ok(NAME, found.to_string()),
        Protection::LockedPages => {
            let hint = "Linux 5.14 and later has secret memory; 6.4 and older need `secretmem.enable=1` at boot";
            Finding::warning(NAME, found.to_string(), hint)
        }
        _ => Finding::warning(NAME, found.to_string(), "raise the limit of locked memory: `ulimit -l 1024`"),
    }
}
