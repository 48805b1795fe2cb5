use agentkeys_api::attestation::{ActivateCredential, ActivatedCredential};
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// What is needed to have a TPM prove that it holds an attestation key (TPM 2.0 Part 1, section 24).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationRequest {
    /// The endorsement key, as the bits of its `SubjectPublicKeyInfo`.
    pub(crate) ek: Vec<u8>,
    pub(crate) ak_name: Vec<u8>,
}

impl ActivationRequest {
    /// Makes a challenge that only that TPM can answer, and only for that attestation key.
    pub fn challenge(&self) -> Result<Challenge, ActivationError> {
        Err(ActivationError::Key)
    }

    pub(crate) fn is_of(&self, challenge: &Challenge) -> bool {
        self == &challenge.request
    }
}

/// A question to the TPM, with its answer.
pub struct Challenge {
    request: ActivationRequest,
    message: ActivateCredential,
    secret: [u8; 32],
}

impl Challenge {
    /// What to send to the worker.
    pub fn message(&self) -> &ActivateCredential {
        &self.message
    }

    pub(crate) fn judge(&self, reply: &ActivatedCredential) -> Result<(), ActivationError> {
        let secret = BASE64_STANDARD.decode(&reply.secret).map_err(|_| ActivationError::WrongSecret)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(&secret, &self.secret)
            .map_err(|_| ActivationError::WrongSecret)
    }
}

/// Why a TPM is not known to hold an attestation key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    /// The challenge was made for another key, or none was asked for.
    #[error("the challenge belongs to another attestation key")]
    AnotherKey,
    /// The endorsement key cannot be used.
    #[error("the endorsement key is of a kind that cannot be challenged")]
    Key,
    /// The worker's answer is wrong.
    #[error("the TPM that is vouched for does not hold the attestation key")]
    WrongSecret,
}
