use std::fmt;

use agentkeys_api::attestation::{ActivateCredential, ActivatedCredential, Encoded};
use agentkeys_tpm::{EndorsementKey, Name};
use aws_lc_rs::constant_time;
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::certificate::Certificate;

/// What is needed to have a TPM prove that it holds an attestation key (TPM 2.0 Part 1, section 24).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationRequest {
    /// The endorsement key, as `SubjectPublicKeyInfo`.
    ek: Vec<u8>,
    ak_name: Name,
}

impl ActivationRequest {
    pub(crate) fn new(ek: &Certificate, ak_name: Name) -> Result<Self, ActivationError> {
        let request = Self { ek: ek.key_der().ok_or(ActivationError::Key)?, ak_name };
        EndorsementKey::from_spki(&request.ek).map_err(|_| ActivationError::Key)?;
        Ok(request)
    }

    /// Makes a challenge that only that TPM can answer, and only while it has that attestation key.
    pub fn challenge(&self) -> Result<Challenge, ActivationError> {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| ActivationError::Encryption)?;
        let key = EndorsementKey::from_spki(&self.ek).map_err(|_| ActivationError::Key)?;
        let made = key.make_credential(&secret, &self.ak_name).map_err(|_| ActivationError::Encryption)?;
        let message = ActivateCredential {
            ak_name: Encoded(hex::encode(self.ak_name.as_bytes())),
            credential_blob: Encoded(BASE64_STANDARD.encode(made.credential_blob)),
            encrypted_secret: Encoded(BASE64_STANDARD.encode(made.encrypted_secret)),
        };
        Ok(Challenge { request: self.clone(), message, secret })
    }

    pub(crate) fn is_of(&self, challenge: &Challenge) -> bool {
        self == &challenge.request
    }
}

/// A question to a TPM, with its answer.
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

    #[cfg(test)]
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.secret
    }

    pub(crate) fn judge(&self, reply: &ActivatedCredential) -> Result<(), ActivationError> {
        let secret = BASE64_STANDARD.decode(&reply.secret).map_err(|_| ActivationError::WrongSecret)?;
        constant_time::verify_slices_are_equal(&secret, &self.secret).map_err(|_| ActivationError::WrongSecret)
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Challenge").field("request", &self.request).finish_non_exhaustive()
    }
}

/// Why a TPM is not known to hold an attestation key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    /// The challenge was made for another key, or none was asked for.
    #[error("the challenge belongs to another attestation key")]
    AnotherKey,
    /// No challenge could be made.
    #[error("the challenge could not be encrypted")]
    Encryption,
    /// The endorsement key cannot be used.
    #[error("the endorsement key is not one of RSA with 2048 bits")]
    Key,
    /// The worker's answer is wrong.
    #[error("the TPM that is vouched for does not hold the attestation key")]
    WrongSecret,
}
