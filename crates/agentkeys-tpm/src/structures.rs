//! What TPMs marshal, as plain types (TPM 2.0 Library, Part 2).

mod attestation_key;
mod name;
mod nv_public;
mod pcr;
mod public;
mod quote;
mod signature;

pub use attestation_key::{AttestationKey, AttestationKeyError, VerifyingKey};
pub use name::Name;
pub use nv_public::{NvCounter, NvRecord};
pub(crate) use nv_public::{Written, size_of_index};
pub use pcr::{PcrSelection, PcrValues, Pcrs, extend};
pub use public::{Attributes, EccPoint, KeyParameters, Public, Scheme};
pub use quote::{ClockInfo, Quote};
pub use signature::{Signature, SignatureInvalid};

/// Numbers of algorithms.
pub(crate) mod algorithm {
    pub(crate) const RSA: u16 = 0x0001;
    pub(crate) const AES: u16 = 0x0006;
    pub(crate) const KEYED_HASH: u16 = 0x0008;
    pub(crate) const SHA256: u16 = 0x000B;
    pub(crate) const NULL: u16 = 0x0010;
    pub(crate) const RSASSA: u16 = 0x0014;
    pub(crate) const ECDSA: u16 = 0x0018;
    pub(crate) const ECC: u16 = 0x0023;
    pub(crate) const CFB: u16 = 0x0043;
}

/// The SHA-256 of `parts`, one behind the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
