use agentkeys_api::attestation::{Backend, Bound};
use agentkeys_attestation::Check;
use agentkeys_types::Timestamp;

use super::judge::failed;

/// What a signer's evidence came to, check by check.
#[derive(Clone, Debug)]
pub struct Examined {
    /// Whether it is accepted: nothing but a nonce goes there otherwise.
    pub is_accepted: bool,
    /// What vouches for it.
    pub backend: Backend,
    /// The release that its measurements are of.
    pub release: Option<String>,
    /// Everything that was looked at.
    pub checks: Vec<Check>,
    /// What the evidence binds, as the signer says it: believed only where it is accepted.
    pub bound: Bound,
    /// The name of its attestation key, hex.
    pub ak_name: Option<String>,
    /// The SHA-256 of the endorsement key that vouches for that one, hex.
    pub ek_sha256: Option<String>,
    /// The version of the policy.
    pub policy_version: u64,
    /// When it was looked at.
    pub examined_at: Timestamp,
}

impl Examined {
    /// The first check because of which it is not accepted.
    pub fn failed(&self) -> Option<&Check> {
        failed(&self.checks)
    }

    /// Because of what it is not accepted: the name of a check, and what is wrong. Nothing where it is.
    pub fn refusal(&self) -> Option<(&'static str, &str)> {
        if self.is_accepted {
            return None;
        }
        Some(self.failed().map_or(("form", "nothing in its evidence could be looked at"), |check| {
            (check.name.as_str(), check.detail.as_str())
        }))
    }
}
