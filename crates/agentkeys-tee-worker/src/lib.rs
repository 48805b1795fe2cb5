//! The signer in a trusted execution environment.
//!
//! A [`Sealer`] keeps the master secret where only this worker, started as measured, gets it back. An
//! `agentkeys_signer::Attester` shows a client where the worker runs. Everything else is `agentkeys-signer`.

pub mod init;
mod sealer;

pub use sealer::{SealError, SealedBlob, Sealer};
