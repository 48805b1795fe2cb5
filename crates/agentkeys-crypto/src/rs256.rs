use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use zeroize::Zeroizing;

use crate::{
    Jwk, KeyError, Purpose,
    signing_key::{Sign, self_signed_certificate},
};

/// An RSA key of 2048 bits or more that signs with PKCS #1 v1.5 and SHA-256 (RFC 7518 section 3.3), parsed once.
///
/// The private half is in memory once: the exponent, the two primes and what the Chinese remainder theorem needs of
/// them, as numbers of an `RSA` of AWS-LC behind an `EVP_PKEY`; for 2048 bits a little over 1 KiB. From the first
/// signature on there are up to 2 KiB more, the same numbers in Montgomery form and of fixed width, and blinding for
/// each thread that signs at once. All of it stays from here until this is dropped. AWS-LC overwrites whatever
/// memory it frees. The PKCS#8 document and its PEM text are wiped as soon as the key is parsed.
pub struct Rs256Key {
    pair: RsaKeyPair,
    public: Jwk,
    purpose: Purpose,
    random: SystemRandom,
}

impl Rs256Key {
    /// A new key of 2048 bits that no file keeps, for tests and throw-away issuers.
    pub fn generate(purpose: Purpose) -> Result<Self, KeyError> {
        Self::from_pkcs8(&Self::generate_pkcs8()?, purpose)
    }

    pub(crate) fn from_pkcs8(der: &[u8], purpose: Purpose) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::Signing)?;
        let components = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let mut public = Jwk::rs256(&components.n, &components.e);
        public.x5c = Some(vec![self_signed_certificate(&Certifying(&pair)).ok_or(KeyError::Signing)?]);
        Ok(Self { pair, public, purpose, random: SystemRandom::new() })
    }

    /// A new private key of 2048 bits as a PKCS#8 document.
    pub(crate) fn generate_pkcs8() -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// What the key signs.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The public half, with its RFC 7638 `kid`.
    pub fn public(&self) -> &Jwk {
        &self.public
    }
}

impl Sign for Rs256Key {
    fn signature_length(&self) -> usize {
        self.pair.public_modulus_len()
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        sign(&self.pair, &self.random, message)
    }
}

impl fmt::Debug for Rs256Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rs256Key({:?}, {})", self.purpose, self.public.kid)
    }
}

fn sign(pair: &RsaKeyPair, random: &SystemRandom, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, random, message, &mut signature)?;
    Ok(signature)
}

struct Certifying<'k>(&'k RsaKeyPair);

impl rcgen::PublicKeyData for Certifying<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl rcgen::SigningKey for Certifying<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        sign(self.0, &SystemRandom::new(), message).map_err(|_| rcgen::Error::RingUnspecified)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    #[test]
    fn its_public_half_verifies_what_it_signs() {
        let key = Rs256Key::generate(Purpose::Oidc).unwrap();
        let signature = key.signature(b"message").unwrap();

        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.pair.public_key().as_ref());

        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"messagf", &signature).is_err());
        assert!(key.public().signs_with("RS256"));
        assert_eq!(signature.len(), key.signature_length());
    }
}
