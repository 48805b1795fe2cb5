//! A TPM 2.0 that seals the master secret and vouches for the worker.

mod attester;
mod sealer;

use std::sync::{Arc, Mutex, PoisonError};

use agentkeys_tpm::{Tpm, TpmError};

pub use attester::Tpm2Attester;
pub use sealer::Tpm2Sealer;

/// The one connection to the TPM, used by one at a time.
#[derive(Clone, Debug)]
pub struct SharedTpm(Arc<Mutex<Tpm>>);

impl SharedTpm {
    /// Connects to a device, `unix:PATH` or `tcp:HOST:PORT`.
    pub fn open(place: &str) -> Result<Self, TpmError> {
        Ok(Self(Arc::new(Mutex::new(Tpm::open(place)?))))
    }

    fn ask<T>(&self, question: impl FnOnce(&mut Tpm) -> Result<T, TpmError>) -> Result<T, TpmError> {
        question(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
