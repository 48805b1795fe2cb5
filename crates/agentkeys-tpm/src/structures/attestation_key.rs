use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::{Attributes, EccPoint, KeyParameters, Name, Public, Scheme, Signature, SignatureInvalid};
use crate::reader::Malformed;

/// What makes a key one whose signatures are the TPM's word: it signs nothing that was made outside.
const NEEDED: Attributes = Attributes::all(&[
    Attributes::FIXED_TPM,
    Attributes::FIXED_PARENT,
    Attributes::SENSITIVE_DATA_ORIGIN,
    Attributes::RESTRICTED,
    Attributes::SIGN,
]);

/// Why a key cannot attest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationKeyError {
    /// It could sign what was made outside of its TPM, or could be outside itself.
    #[error("the key is not a restricted signing key that never leaves its TPM")]
    Attributes,
    /// It is not a public area.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It signs otherwise than by ECDSA on P-256 or by RSASSA with at least 2048 bits, with SHA-256.
    #[error("the key signs by an unknown scheme")]
    Scheme,
}

/// A key with which a TPM attests, and which can be nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationKey {
    name: Name,
    key: VerifyingKey,
}

impl AttestationKey {
    /// Reads a `TPMT_PUBLIC` and checks that it is of such a key.
    ///
    /// That the TPM is a genuine one is for its endorsement, and an activated credential, to show.
    pub fn parse(public: &[u8]) -> Result<Self, AttestationKeyError> {
        let parsed = Public::parse(public)?;
        if !parsed.attributes.has(NEEDED) || parsed.attributes.has_any(Attributes::DECRYPT) {
            return Err(AttestationKeyError::Attributes);
        }
        let key = match parsed.parameters {
            KeyParameters::P256 { scheme: Scheme::Ecdsa, point, .. } => VerifyingKey::P256(point),
            KeyParameters::Rsa { scheme: Scheme::Rsassa, modulus, .. } if modulus.len() >= 256 => {
                VerifyingKey::Rsa { modulus }
            }
            _ => return Err(AttestationKeyError::Scheme),
        };
        Ok(Self { name: Name::of(public), key })
    }

    /// The key's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What its signatures are verified by.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Checks the signature over a `TPMS_ATTEST`.
    pub fn verify(&self, attest: &[u8], signature: &Signature) -> Result<(), SignatureInvalid> {
        self.key.verify(attest, signature)
    }
}

/// A public key by which signatures over SHA-256 are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyingKey {
    /// ECDSA on NIST P-256.
    P256(EccPoint),
    /// PKCS#1 v1.5 with the usual exponent, 65537.
    Rsa {
        /// The modulus, big-endian.
        modulus: Vec<u8>,
    },
}

impl VerifyingKey {
    /// Checks a signature over `message`.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureInvalid> {
        let verified = match (self, signature) {
            (Self::P256(point), Signature::EcdsaP256(signature)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.to_sec1()).verify(message, signature)
            }
            (Self::Rsa { modulus }, Signature::Rsassa(signature)) => {
                let key = RsaPublicKeyComponents { n: modulus.as_slice(), e: &[1, 0, 1] };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            _ => return Err(SignatureInvalid),
        };
        verified.map_err(|_| SignatureInvalid)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        rsa::KeySize,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
    };

    use super::*;

    const ATTEST: &[u8] = b"what a TPM attests";

    fn public(attributes: Attributes, scheme: Scheme, point: EccPoint) -> Vec<u8> {
        let parameters = KeyParameters::P256 { protects: false, scheme, point };
        Public { attributes, auth_policy: Vec::new(), parameters }.to_bytes()
    }

    fn pair() -> (EcdsaKeyPair, EccPoint) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = EccPoint::from_sec1(pair.public_key().as_ref()).unwrap();
        (pair, point)
    }

    #[test]
    fn what_its_key_has_signed_is_accepted_and_a_changed_bit_refused() {
        let (pair, point) = pair();
        let key = AttestationKey::parse(&public(NEEDED, Scheme::Ecdsa, point)).unwrap();
        let signature: [u8; 64] = pair.sign(&SystemRandom::new(), ATTEST).unwrap().as_ref().try_into().unwrap();
        let mut changed = ATTEST.to_vec();
        changed[3] ^= 1;

        assert_eq!(key.verify(ATTEST, &Signature::EcdsaP256(signature)), Ok(()));
        assert_eq!(key.verify(&changed, &Signature::EcdsaP256(signature)), Err(SignatureInvalid));
        assert_eq!(key.verify(ATTEST, &Signature::Rsassa(signature.to_vec())), Err(SignatureInvalid));
    }

    #[test]
    fn a_key_of_rsa_verifies_too() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let parameters =
            KeyParameters::Rsa { protects: false, scheme: Scheme::Rsassa, bits: 2048, exponent: 0, modulus };
        let public = Public { attributes: NEEDED, auth_policy: Vec::new(), parameters }.to_bytes();
        let mut signature = vec![0; 256];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), ATTEST, &mut signature).unwrap();

        let key = AttestationKey::parse(&public).unwrap();

        assert_eq!(key.verify(ATTEST, &Signature::Rsassa(signature.clone())), Ok(()));
        assert_eq!(key.verify(b"something else", &Signature::Rsassa(signature)), Err(SignatureInvalid));
    }

    #[test]
    fn a_key_that_lacks_one_attribute_or_decrypts_cannot_attest() {
        let (_, point) = pair();
        let bits = (0..32).map(|bit| 1 << bit).filter(|bit| NEEDED.0 & bit != 0);
        let wrong = bits.map(|bit| NEEDED.0 & !bit).chain([NEEDED.0 | Attributes::DECRYPT.0]);

        for bits in wrong {
            let refused = AttestationKey::parse(&public(Attributes(bits), Scheme::Ecdsa, point.clone()));

            assert_eq!(refused, Err(AttestationKeyError::Attributes), "{bits:#x}");
        }
    }

    #[test]
    fn a_key_without_a_scheme_cannot_attest() {
        let (_, point) = pair();

        let refused = AttestationKey::parse(&public(NEEDED, Scheme::Null, point));

        assert_eq!(refused, Err(AttestationKeyError::Scheme));
    }
}
