//! A TPM 2.0 that seals the master secret and vouches for the worker.

mod attester;
mod sealer;

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use agentkeys_tpm::{Tpm, TpmError};
use tokio::sync::watch;

pub use attester::Tpm2Attester;
pub use sealer::Tpm2Sealer;

/// The one connection to the TPM, used by one at a time.
#[derive(Clone, Debug)]
pub struct SharedTpm(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tpm: Mutex<Tpm>,
    is_broken: watch::Sender<bool>,
}

impl SharedTpm {
    /// Connects to a device, `unix:PATH` or `tcp:HOST:PORT`.
    pub fn open(place: &str) -> Result<Self, TpmError> {
        Ok(Self(Arc::new(Shared { tpm: Mutex::new(Tpm::open(place)?), is_broken: watch::Sender::new(false) })))
    }

    fn ask<T>(&self, question: impl FnOnce(&mut Tpm) -> Result<T, TpmError>) -> Result<T, TpmError> {
        let answer = question(&mut self.0.tpm.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error @ (TpmError::Broken | TpmError::Transport { .. })) = &answer
            && !self.0.is_broken.send_replace(true)
        {
            tracing::error!(%error, cause = error.source(), "the connection to the TPM is broken");
        }
        answer
    }

    /// Waits until the connection is broken. Nothing mends it: an answer to an old question may still be under way.
    pub async fn broken(&self) {
        let mut is_broken = self.0.is_broken.subscribe();
        // The sender lives as long as this does.
        let _ = is_broken.wait_for(|is_broken| *is_broken).await;
    }
}

#[cfg(test)]
mod tests;
