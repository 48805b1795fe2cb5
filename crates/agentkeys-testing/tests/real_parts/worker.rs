//! The worker on a TPM in software: `AGENTKEYS_SWTPM` says where that is.

mod lost_tpm;
pub(crate) mod machine;
mod refused;
mod restored;
mod sealed;
mod tampered;
mod upgraded;
