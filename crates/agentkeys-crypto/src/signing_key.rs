use std::{fmt, io};

use aws_lc_rs::error::Unspecified;
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, DnType};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Es256Key, Jwk, Rs256Key};

/// What a signing key signs. No key signs two kinds of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Session tokens, checked by broker and signer.
    Session,
    /// Web-identity JWTs, checked by clouds.
    Oidc,
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Session => "session",
            Self::Oidc => "oidc",
        })
    }
}

/// How a key signs (RFC 7518 section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, for relying parties that know nothing else.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    /// Its name in a JWS header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file holds something else than the key that belongs there.
    #[error("{file} does not hold {wanted}")]
    Content {
        /// The file.
        file: String,
        /// What belongs there.
        wanted: &'static str,
    },
    /// The file could not be read or made.
    #[error("the key file {0} could not be used: {1}")]
    File(String, #[source] io::Error),
    /// There is nothing to rotate or to list.
    #[error("{0} holds no signing keys: name the broker's folder with `--state`, and start the broker once")]
    NoKeys(String),
    /// The file does not say what its key is for.
    #[error(
        "{file} does not say what its key is for: put `{wanted}` on a line before the PEM block, if it is for that"
    )]
    NoPurpose {
        /// The file.
        file: String,
        /// The line that belongs there.
        wanted: String,
    },
    /// The file holds a key for something else.
    #[error("{file} holds a key for `{found}`, not for `{wanted}`: put each key back under its own name")]
    OtherPurpose {
        /// The file.
        file: String,
        /// What its key is for.
        found: String,
        /// What a key of its name is for.
        wanted: Purpose,
    },
    /// Somebody else rotates these keys now.
    #[error("the keys in {0} are being rotated already")]
    Rotating(String),
    /// The key could not be made or used.
    #[error("the signing key failed")]
    Signing,
}

impl From<Unspecified> for KeyError {
    fn from(_: Unspecified) -> Self {
        Self::Signing
    }
}

/// A private key that signs, by one algorithm and for one [`Purpose`] only.
#[derive(Debug)]
pub enum SigningKey {
    /// Of P-256.
    Es256(Es256Key),
    /// Of RSA.
    Rs256(Rs256Key),
}

impl SigningKey {
    /// Reads a PKCS#8 document, of which no copy is kept.
    pub(crate) fn from_pkcs8(der: &[u8], algorithm: Algorithm, purpose: Purpose) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::Es256 => Es256Key::from_pkcs8(der, purpose).map(Self::Es256),
            Algorithm::Rs256 => Rs256Key::from_pkcs8(der, purpose).map(Self::Rs256),
        }
    }

    /// A new private key as a PKCS#8 document.
    pub(crate) fn generate_pkcs8(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match algorithm {
            Algorithm::Es256 => Es256Key::generate_pkcs8(),
            Algorithm::Rs256 => Rs256Key::generate_pkcs8(),
        }
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// What it signs.
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Es256(key) => key.purpose(),
            Self::Rs256(key) => key.purpose(),
        }
    }

    /// The public half, with its RFC 7638 `kid`.
    pub fn public(&self) -> &Jwk {
        match self {
            Self::Es256(key) => key.public(),
            Self::Rs256(key) => key.public(),
        }
    }
}

impl From<Es256Key> for SigningKey {
    fn from(key: Es256Key) -> Self {
        Self::Es256(key)
    }
}

impl From<Rs256Key> for SigningKey {
    fn from(key: Rs256Key) -> Self {
        Self::Rs256(key)
    }
}

/// Signs bytes.
pub(crate) trait Sign {
    /// How many bytes a signature has.
    fn signature_length(&self) -> usize;

    /// The signature over `message`, as a JWS carries it.
    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

impl Sign for SigningKey {
    fn signature_length(&self) -> usize {
        match self {
            Self::Es256(key) => key.signature_length(),
            Self::Rs256(key) => key.signature_length(),
        }
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::Es256(key) => key.signature(message),
            Self::Rs256(key) => key.signature(message),
        }
    }
}

/// Standard base64 of a self-signed certificate of the key: Ceph reads keys only from `x5c`.
pub(crate) fn self_signed_certificate(key: &impl rcgen::SigningKey) -> Option<String> {
    let mut params = CertificateParams::new(Vec::new()).ok()?;
    params.distinguished_name.push(DnType::CommonName, "AgentKeys signing key");
    Some(STANDARD.encode(params.self_signed(key).ok()?.der()))
}
