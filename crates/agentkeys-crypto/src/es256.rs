use std::{fmt, io, path::Path};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use zeroize::Zeroizing;

use crate::{Jwk, private_file};

/// What a signing key signs. No key signs two kinds of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Session tokens, checked by broker and signer.
    Session,
    /// Web-identity JWTs, checked by clouds.
    Oidc,
}

impl Purpose {
    /// The name of the key's file: `session.pem`, `oidc.pem`.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Session => "session.pem",
            Self::Oidc => "oidc.pem",
        }
    }
}

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file holds something else than a P-256 private key.
    #[error("{0} does not hold a P-256 private key in PKCS#8 PEM")]
    Content(String),
    /// The file could not be read or made.
    #[error("the key file {0} could not be used: {1}")]
    File(String, #[source] io::Error),
    /// The key could not be made or used.
    #[error("the signing key failed")]
    Signing,
}

/// A P-256 key that signs with ECDSA and SHA-256 (RFC 7518 section 3.4), parsed once.
pub struct Es256Key {
    pair: EcdsaKeyPair,
    public: Jwk,
    purpose: Purpose,
    random: SystemRandom,
}

impl Es256Key {
    /// Reads the key of this purpose from `folder`, or makes it there at first.
    pub fn open(folder: &Path, purpose: Purpose) -> Result<Self, KeyError> {
        let path = folder.join(purpose.file_name());
        let name = path.display().to_string();
        let fresh = generate_pkcs8()?;
        let text = private_file::read_or_create(&path, || {
            let block = pem::Pem::new("PRIVATE KEY", fresh.to_vec());
            Zeroizing::new(
                pem::encode_config(&block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)).into_bytes(),
            )
        })
        .map_err(|error| KeyError::File(name.clone(), error))?;
        let block = pem::parse(text.as_slice()).map_err(|_| KeyError::Content(name.clone()))?;
        let der = Zeroizing::new(block.into_contents());
        Self::from_pkcs8(&der, purpose).map_err(|_| KeyError::Content(name))
    }

    /// A new key that no file keeps, for tests and throw-away issuers.
    pub fn generate(purpose: Purpose) -> Result<Self, KeyError> {
        Self::from_pkcs8(&generate_pkcs8()?, purpose)
    }

    fn from_pkcs8(der: &[u8], purpose: Purpose) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| KeyError::Signing)?;
        let point = pair.public_key().as_ref();
        let mut public = Jwk::es256(point).ok_or(KeyError::Signing)?;
        public.x5c = Some(vec![self_signed_certificate(der).ok_or(KeyError::Signing)?]);
        Ok(Self { pair, public, purpose, random: SystemRandom::new() })
    }

    /// What the key signs.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The public half, with its RFC 7638 `kid`.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// The 64 bytes r‖s over `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let signature = self.pair.sign(&self.random, message).map_err(|_| KeyError::Signing)?;
        signature.as_ref().try_into().map_err(|_| KeyError::Signing)
    }
}

impl fmt::Debug for Es256Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Es256Key({:?}, {})", self.purpose, self.public.kid)
    }
}

fn generate_pkcs8() -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    Ok(Zeroizing::new(der.map_err(|_| KeyError::Signing)?.as_ref().to_vec()))
}

/// Standard base64 of a self-signed certificate of the key: Ceph reads keys only from `x5c`.
fn self_signed_certificate(pkcs8: &[u8]) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};

    let pair = rcgen::KeyPair::try_from(pkcs8).ok()?;
    let mut params = rcgen::CertificateParams::new(Vec::new()).ok()?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "AgentKeys signing key");
    Some(STANDARD.encode(params.self_signed(&pair).ok()?.der()))
}
