use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

use agentkeys_types::Invalid;

mod accept;
mod read;
mod release_key;

pub use accept::{
    Accept, AcceptAzureVtpm, AcceptNitro, AcceptSevSnp, AcceptTdx, AcceptTpm2, AzureHardware, NitroRoot, PcrValues,
    SnpTcb, TcbStatus, TpmAnchor,
};
pub use release_key::{ReleaseKey, ReleaseKeyPair};

/// What a person's machine takes for a genuine worker: read from a file that the release key signed.
///
/// A policy that exists is complete: nothing unknown was skipped, no list but `revoked` is empty, and no entry leaves
/// open what would let another program pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its number, which never goes down for a signer that was accepted under a higher one.
    pub version: u64,
    /// The lowest release that is accepted.
    pub min_release: Release,
    /// Whether a development signer on loopback, which proves nothing, and test roots are accepted.
    pub allow_dev: bool,
    /// Whether a worker is accepted that would sign any message.
    pub allow_any_message: bool,
    /// How old evidence may get on an open connection.
    pub reattest: Duration,
    /// The origin of the signing log, where it is given.
    pub log_origin: Option<String>,
    /// The public key that only the right master secret gives, where it is given: SEC1, compressed.
    pub identity_pub: Option<[u8; 33]>,
    /// The SHA-256 of certificates that no chain may contain.
    ///
    /// Nobody is asked for lists of revoked certificates. So where the maker's own do not come with the evidence
    /// (`tpm2`, `sev-snp`, `azure-vtpm` with `sev_snp`), the file must spell this list out, `revoked = []` where that is
    /// the decision.
    pub revoked: BTreeSet<[u8; 32]>,
    /// What is accepted: one of these is enough.
    pub accept: Vec<Accept>,
}

impl Policy {
    /// Reads a policy from TOML.
    pub fn parse(toml: &str) -> Result<Self, PolicyError> {
        read::policy(toml)
    }

    /// Reads a policy from TOML that `signature` vouches for: the base64 of ECDSA P-256 r‖s over these very bytes.
    pub fn verify_signed(unverified_bytes: &[u8], signature: &str, key: &ReleaseKey) -> Result<Self, PolicyError> {
        key.verify(unverified_bytes, signature)?;
        Self::parse(std::str::from_utf8(unverified_bytes).map_err(|_| PolicyError::invalid("", "is not UTF-8"))?)
    }
}

/// Why a policy is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A setting is missing, unknown, or not what it must be.
    #[error("the attestation policy is invalid: `{field}` {reason}")]
    Invalid {
        /// Where, as a path.
        field: String,
        /// What is wrong, as the end of a sentence.
        reason: String,
    },
    /// The release key is not one, or cannot sign.
    #[error("the release key is not an ECDSA P-256 key")]
    Key,
    /// The signature is not the release key's, over these bytes.
    #[error("the attestation policy is not signed by the release key")]
    Signature,
    /// It is not TOML, or not of this form.
    #[error("the attestation policy cannot be read: {0}")]
    Syntax(String),
}

impl PolicyError {
    fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }
}

/// The version of a released worker: `major.minor.patch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release([u32; 3]);

impl FromStr for Release {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const WHAT: Invalid = Invalid("a release is three numbers, such as 1.2.3");
        let number = |part: &str| {
            let is_plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            if is_plain { part.parse().map_err(|_| WHAT) } else { Err(WHAT) }
        };
        let parts = text.split('.').map(number).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(parts.try_into().map_err(|_| WHAT)?))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests;
