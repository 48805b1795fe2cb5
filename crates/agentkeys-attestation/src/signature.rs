//! Which signature algorithms there are; `aws-lc-rs` does the rest.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_cert::{
    der::{Decode as _, SliceReader, asn1::ContextSpecific, oid::ObjectIdentifier},
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");

/// The kinds of public keys that certify or attest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Rsa,
    P256,
    P384,
}

/// What kind of key that is, if it is one that we know.
pub(crate) fn kind_of(key: &SubjectPublicKeyInfoOwned) -> Option<KeyKind> {
    match key.algorithm.oid {
        RSA => Some(KeyKind::Rsa),
        EC => match key.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()? {
            P256 => Some(KeyKind::P256),
            P384 => Some(KeyKind::P384),
            _ => None,
        },
        _ => None,
    }
}

/// Whether that is the key's signature over `message`, by an algorithm that is good enough.
pub(crate) fn is_signed(
    key: &SubjectPublicKeyInfoOwned,
    by: &AlgorithmIdentifierOwned,
    message: &[u8],
    signed: &[u8],
) -> bool {
    let algorithm: Option<&'static dyn VerificationAlgorithm> = match (kind_of(key), by.oid) {
        (Some(KeyKind::Rsa), RSA_SHA256) => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        (Some(KeyKind::Rsa), RSA_SHA384) => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        (Some(KeyKind::Rsa), RSA_PSS) => match pss_hash(by) {
            Some(SHA256) => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Some(SHA384) => Some(&signature::RSA_PSS_2048_8192_SHA384),
            _ => None,
        },
        (Some(KeyKind::P256), ECDSA_SHA256) => Some(&signature::ECDSA_P256_SHA256_ASN1),
        (Some(KeyKind::P256), ECDSA_SHA384) => Some(&signature::ECDSA_P256_SHA384_ASN1),
        (Some(KeyKind::P384), ECDSA_SHA256) => Some(&signature::ECDSA_P384_SHA256_ASN1),
        (Some(KeyKind::P384), ECDSA_SHA384) => Some(&signature::ECDSA_P384_SHA384_ASN1),
        _ => None,
    };
    algorithm.is_some_and(|algorithm| verifies(algorithm, key, message, signed))
}

/// Whether that is the key's signature over `message`, by this very algorithm.
pub(crate) fn verifies(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &SubjectPublicKeyInfoOwned,
    message: &[u8],
    signed: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, key.subject_public_key.raw_bytes()).verify(message, signed).is_ok()
}

/// The hash that the parameters of RSASSA-PSS name (RFC 4055 section 3.1).
fn pss_hash(by: &AlgorithmIdentifierOwned) -> Option<ObjectIdentifier> {
    let mut reader = SliceReader::new(by.parameters.as_ref()?.value()).ok()?;
    let hash = ContextSpecific::<AlgorithmIdentifierOwned>::decode(&mut reader).ok()?;
    (hash.tag_number.value() == 0).then_some(hash.value.oid)
}
