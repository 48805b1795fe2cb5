use std::fmt;

use aws_lc_rs::{
    encoding::{AsBigEndian, EcPrivateKeyBin},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    },
};
use zeroize::Zeroizing;

use crate::{
    Jwk, KeyError, Purpose,
    signing_key::{Sign, self_signed_certificate},
};

/// A P-256 key that signs with ECDSA and SHA-256 (RFC 7518 section 3.4), parsed once.
///
/// The private half is in memory once: as a scalar of 32 bytes that AWS-LC keeps in an `EC_KEY` behind an
/// `EVP_PKEY`, about half a KiB with the public point, from here until this is dropped. AWS-LC overwrites whatever
/// memory it frees, so what it used while parsing and signing is gone by then. The PKCS#8 document and its PEM text
/// are wiped as soon as the key is parsed.
pub struct Es256Key {
    pair: EcdsaKeyPair,
    public: Jwk,
    purpose: Purpose,
    random: SystemRandom,
}

impl Es256Key {
    /// A new key that no file keeps, for tests and throw-away issuers.
    pub fn generate(purpose: Purpose) -> Result<Self, KeyError> {
        Self::from_pkcs8(&Self::generate_pkcs8()?, purpose)
    }

    pub(crate) fn from_pkcs8(der: &[u8], purpose: Purpose) -> Result<Self, KeyError> {
        let read = |algorithm: &'static EcdsaSigningAlgorithm| {
            EcdsaKeyPair::from_pkcs8(algorithm, der).map_err(|_| KeyError::Signing)
        };
        let pair = read(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let mut public = Jwk::es256(pair.public_key().as_ref()).ok_or(KeyError::Signing)?;
        let certificate = self_signed_certificate(&Certifying(read(&ECDSA_P256_SHA256_ASN1_SIGNING)?));
        public.x5c = Some(vec![certificate.ok_or(KeyError::Signing)?]);
        Ok(Self { pair, public, purpose, random: SystemRandom::new() })
    }

    /// A new private key as a PKCS#8 document (RFC 5958, RFC 5915).
    ///
    /// AWS-LC's own document would leave a copy in memory that nobody wipes.
    pub(crate) fn generate_pkcs8() -> Result<Zeroizing<Vec<u8>>, KeyError> {
        const BEFORE_SCALAR: &[u8] = b"\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\
            \x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x6d\x30\x6b\x02\x01\x01\x04\x20";
        const BEFORE_POINT: &[u8] = b"\xa1\x44\x03\x42\x00";
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes()?;
        let mut der = Zeroizing::new(Vec::with_capacity(138));
        for part in [BEFORE_SCALAR, scalar.as_ref(), BEFORE_POINT, pair.public_key().as_ref()] {
            der.extend_from_slice(part);
        }
        Ok(der)
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
        self.pair.sign(&self.random, message)?.as_ref().try_into().map_err(|_| KeyError::Signing)
    }
}

impl Sign for Es256Key {
    fn signature_length(&self) -> usize {
        64
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.sign(message).map(Vec::from)
    }
}

impl fmt::Debug for Es256Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Es256Key({:?}, {})", self.purpose, self.public.kid)
    }
}

/// The same key with signatures as certificates have them.
struct Certifying(EcdsaKeyPair);

impl rcgen::PublicKeyData for Certifying {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Certifying {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(signature.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_written_as_the_library_would_write_it() {
        let der = Es256Key::generate_pkcs8().unwrap();

        let read = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();

        assert_eq!(read.to_pkcs8v1().unwrap().as_ref(), der.as_slice());
        assert_eq!(der.capacity(), 138);
    }
}
