use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use x509_cert::{der::Decode as _, spki::SubjectPublicKeyInfoRef};

use super::PolicyError;

/// The public half of the offline key that signs policies and releases: ECDSA P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseKey([u8; 65]);

impl ReleaseKey {
    /// Reads the key from PEM (`PUBLIC KEY`) or from the hex of its uncompressed point.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let text = text.trim();
        if !text.starts_with("-----BEGIN") {
            return Self::from_sec1(&hex::decode(text).map_err(|_| PolicyError::Key)?);
        }
        let parsed = pem::parse(text).map_err(|_| PolicyError::Key)?;
        if parsed.tag() != "PUBLIC KEY" {
            return Err(PolicyError::Key);
        }
        let spki = SubjectPublicKeyInfoRef::from_der(parsed.contents()).map_err(|_| PolicyError::Key)?;
        Self::from_sec1(spki.subject_public_key.raw_bytes())
    }

    /// The key whose uncompressed point this is.
    pub fn from_sec1(point: &[u8]) -> Result<Self, PolicyError> {
        let point: [u8; 65] = point.try_into().map_err(|_| PolicyError::Key)?;
        aws_lc_rs::signature::ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| PolicyError::Key)?;
        Ok(Self(point))
    }

    /// The uncompressed point.
    pub fn as_sec1(&self) -> &[u8; 65] {
        &self.0
    }

    /// Checks that `signature`, in base64, is this key's over `bytes`.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<(), PolicyError> {
        let signature = BASE64_STANDARD.decode(signature.trim()).map_err(|_| PolicyError::Signature)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0)
            .verify(bytes, &signature)
            .map_err(|_| PolicyError::Signature)
    }
}

/// The offline key itself, for whoever releases.
#[derive(Debug)]
pub struct ReleaseKeyPair(EcdsaKeyPair);

impl ReleaseKeyPair {
    /// Reads the key from PKCS#8 in PEM (`PRIVATE KEY`).
    pub fn from_pem(text: &str) -> Result<Self, PolicyError> {
        let parsed = pem::parse(text).map_err(|_| PolicyError::Key)?;
        if parsed.tag() != "PRIVATE KEY" {
            return Err(PolicyError::Key);
        }
        Self::from_pkcs8(parsed.contents())
    }

    /// Reads the key from PKCS#8.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, PolicyError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self).map_err(|_| PolicyError::Key)
    }

    /// A new key, as PKCS#8 in PEM.
    pub fn generate_pem() -> Result<String, PolicyError> {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let der = der.map_err(|_| PolicyError::Key)?;
        Ok(pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref())))
    }

    /// The public half.
    pub fn public(&self) -> Result<ReleaseKey, PolicyError> {
        ReleaseKey::from_sec1(self.0.public_key().as_ref())
    }

    /// Signs a policy's bytes: the text of its `.sig` file.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, PolicyError> {
        let signature = self.0.sign(&SystemRandom::new(), bytes).map_err(|_| PolicyError::Key)?;
        Ok(BASE64_STANDARD.encode(signature))
    }

    pub(crate) fn pair(&self) -> &EcdsaKeyPair {
        &self.0
    }
}
