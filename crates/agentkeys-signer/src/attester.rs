use std::fmt;

use agentkeys_api::attestation::{ActivateCredential, ActivatedCredential, AttestationEvidence};
use agentkeys_http::TlsChannel;

/// Why there is no evidence, or no answer to a challenge of the attestation key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// The challenge is for another TPM, or for another attestation key.
    #[error("the credential was made for another TPM or attestation key")]
    CredentialInvalid,
    /// This signer has no evidence of where it runs.
    #[error("this signer has no evidence of where it runs")]
    NotAttested,
    /// The device that vouches did not answer.
    #[error("what vouches for this signer does not answer")]
    Unavailable,
}

/// Shows where a signer runs. Its methods may block.
pub trait Attester: Send + Sync + fmt::Debug {
    /// Fresh evidence for `nonce`, worth something on `channel` only.
    fn evidence(&self, nonce: &[u8; 32], channel: &TlsChannel) -> Result<AttestationEvidence, AttestError>;

    /// Proves that the attestation key is in the certified TPM.
    fn activate(&self, _: &ActivateCredential) -> Result<ActivatedCredential, AttestError> {
        Err(AttestError::NotAttested)
    }
}

/// Has nothing to show: the development signer.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotAttested;

impl Attester for NotAttested {
    fn evidence(&self, _: &[u8; 32], _: &TlsChannel) -> Result<AttestationEvidence, AttestError> {
        Err(AttestError::NotAttested)
    }
}
