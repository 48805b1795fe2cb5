//! TPM 2.0: structures, policies computed offline, and a small client of a device.
//!
//! A [`Quote`] and an [`AttestationKey`] are read out of what a TPM has sent, strictly; [`seal_policy`] says what it
//! takes to unseal, of which a release key's [`Approval`] is a part; an [`EndorsementKey`] makes a [`Credential`] that
//! one TPM can read. None of this needs a device, or trusts one. A [`Tpm`] is a device: it seals and unseals a
//! [`SealedSecret`], quotes, activates credentials, has a [`Counter`] or two, and keeps a [`Record`].

mod approval;
mod client;
mod credential;
mod event_log;
mod key_derivation;
mod policy;
mod reader;
mod structures;
mod writer;

pub use approval::{Approval, ApprovalError, CAPPED_PCR, ReleaseKey, SEALED_PCRS, cap_digest, capped};
pub use client::{Cause, Command, Counter, Quoted, Record, SealedSecret, Tpm, TpmError};
pub use credential::{Credential, CredentialError, EndorsementKey};
pub use event_log::{EventLog, MeasuredEvent};
pub use policy::{
    Comparison, NO_POLICY, PolicyDigest, SealPolicy, identity_record, policy_authorize, policy_nv, policy_pcr,
    policy_ref, policy_secret, seal_policy,
};
pub use reader::Malformed;
pub use structures::{
    AttestationKey, AttestationKeyError, Attributes, ClockInfo, EccPoint, KeyParameters, Name, NvCounter, NvRecord,
    PcrSelection, PcrValues, Pcrs, Public, Quote, Scheme, Signature, SignatureInvalid, VerifyingKey, extend,
};
