//! Verifies evidence of trusted execution against a policy. Opens no device, no file and no connection.
//!
//! A [`Policy`] says what a person's machine takes for a genuine worker. A [`Verifier`] holds evidence against it and
//! gives a [`Verdict`]: every check with its outcome, for programs and for people. Nothing but a nonce may be sent to
//! a signer whose verdict is not [accepted](Verdict::accepted).

mod activation;
mod approval;
mod azure_vtpm;
mod certificate;
mod log;
mod nitro;
mod policy;
mod report;
mod sev_snp;
mod signature;
mod tdx;
#[cfg(test)]
mod testing;
mod tpm2;
mod verdict;
mod verifier;
mod wire;

pub use activation::{ActivationError, ActivationRequest, Challenge};
pub use agentkeys_tpm::{Approval, ApprovalError};
pub use approval::{ImageError, ImageRegisters};
pub use policy::{
    Accept, AcceptAzureVtpm, AcceptNitro, AcceptSevSnp, AcceptTdx, AcceptTpm2, AzureHardware, NitroRoot, PcrValues,
    Policy, PolicyError, Release, ReleaseKey, ReleaseKeyPair, SnpTcb, TcbStatus, TpmAnchor,
};
pub use verdict::{Check, CheckName, Outcome, Verdict};
pub use verifier::{Channel, Expected, Pinned, Stage, Verifier};
