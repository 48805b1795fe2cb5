//! The signer in a trusted execution environment.
//!
//! A [`Sealer`] keeps the master secret where only this worker, started as measured, gets it back. A [`Platform`] shows
//! a client where the worker runs. [`run`] puts both together with `agentkeys-signer`, which is everything else, as a
//! [`Config`] says. It is for Linux alone.

#![cfg(target_os = "linux")]

mod blobs;
mod config;
mod configfs_tsm;
mod evidence;
mod first_boot;
pub mod init;
pub mod log;
mod nitro;
mod reference;
pub mod sandbox;
mod sealer;
pub mod tpm2;
mod worker;

pub use blobs::Blobs;
pub use config::{AttesterKind, Backup, Config, ConfigError, EndorsementFiles, SealerKind, settings_page};
pub use configfs_tsm::{ConfigfsTsm, REPORTS};
pub use evidence::{LatestCheckpoint, Platform, PlatformAttester, Statement, Vouched};
pub use first_boot::{MasterError, Origin, generate, open};
#[cfg(any(test, feature = "mock-nsm"))]
pub use nitro::MockNsm;
pub use nitro::{Nitro, NsmProvider};
pub use reference::openapi;
pub use sealer::{SealError, SealedBlob, Sealer};
pub use worker::run;
