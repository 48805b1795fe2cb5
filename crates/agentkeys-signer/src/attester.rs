use std::{fmt, sync::Arc};

use agentkeys_api::attestation::{ActivateCredential, ActivatedCredential, AttestationEvidence};
use agentkeys_http::TlsChannel;
use tokio::sync::Semaphore;

/// How many questions may be under way at once: a TPM answers one at a time, and takes its time.
const MOST_QUESTIONS: usize = 8;

/// Why there is no evidence, or no answer to a challenge of the attestation key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// Others have asked already, and more than a few do not wait.
    #[error("too many ask at once where this signer runs")]
    Busy,
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

/// Asks an attester, off the threads that answer, and for a few callers at a time.
#[derive(Debug)]
pub(crate) struct Attestation {
    attester: Arc<dyn Attester>,
    places: Arc<Semaphore>,
}

impl Attestation {
    pub(crate) fn new(attester: Arc<dyn Attester>) -> Self {
        Self { attester, places: Arc::new(Semaphore::new(MOST_QUESTIONS)) }
    }

    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Attester) -> Result<T, AttestError> + Send + 'static,
    ) -> Result<T, AttestError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| AttestError::Busy)?;
        let attester = Arc::clone(&self.attester);
        let answer = tokio::task::spawn_blocking(move || {
            // Held until the answer is there, whether or not anybody still waits for it.
            let _place = place;
            question(attester.as_ref())
        });
        answer.await.map_err(|_| AttestError::Unavailable)?
    }
}
