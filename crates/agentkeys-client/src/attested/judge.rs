use std::fmt;

use agentkeys_api::attestation::{ActivateCredential, ActivatedCredential, AttestationEvidence, Backend};
use agentkeys_attestation::{Channel, Check, Outcome, Stage};
use agentkeys_types::Timestamp;

use super::KeptSigner;

/// What is asked of a signer, and what is known of it already.
pub(crate) struct Question<'a> {
    pub(crate) nonce: &'a [u8; 32],
    pub(crate) channel: &'a Channel,
    pub(crate) kept: &'a KeptSigner,
    pub(crate) now: Timestamp,
    pub(crate) stage: Stage,
}

/// Judges evidence by a policy.
pub(crate) trait Judge: Send + Sync + fmt::Debug {
    /// Judges evidence; where only the activation of the attestation key is missing, says how to get that too.
    fn judge(&self, evidence: &AttestationEvidence, question: &Question<'_>) -> (Judgement, Option<Activation>);
}

/// What evidence came to.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) backend: Backend,
    pub(crate) release: Option<String>,
    pub(crate) ak_name: Option<String>,
    pub(crate) ek_sha256: Option<String>,
    pub(crate) checks: Vec<Check>,
}

impl Judgement {
    pub(crate) fn is_accepted(&self) -> bool {
        !self.checks.is_empty() && failed(&self.checks).is_none()
    }
}

/// The first check because of which a signer is not accepted.
pub(crate) fn failed(checks: &[Check]) -> Option<&Check> {
    let has = |outcome| checks.iter().find(|check| check.outcome == outcome);
    has(Outcome::Failed).or_else(|| has(Outcome::Pending))
}

/// How an attestation key is shown to be in the TPM that is vouched for.
pub(crate) struct Activation {
    pub(crate) request: ActivateCredential,
    pub(crate) settle: Box<dyn FnOnce(&ActivatedCredential) -> Judgement + Send>,
}
