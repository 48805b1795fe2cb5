//! X.509 (RFC 5280), as much as endorsements of hardware need: an ordered chain, no search, no network.

use std::collections::BTreeSet;

use agentkeys_types::Timestamp;
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Version,
    der::{Decode as _, Encode as _, Header, Reader as _, SliceReader, oid::ObjectIdentifier},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage},
    spki::SubjectPublicKeyInfoOwned,
};

use crate::signature;

/// The purpose of an endorsement key's certificate (TCG EK Credential Profile, section 3.5.14).
pub(crate) const EK_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.1");

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
/// What may be critical without changing what we conclude: it names the subject, or says how the issuer worked.
const HARMLESS: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("2.5.29.17"), ObjectIdentifier::new_unwrap("2.5.29.32")];

/// How many certificates a chain may have, the leaf and the anchor among them.
const MAX_CHAIN: usize = 5;
/// How long a certificate may be.
const MAX_CERTIFICATE: usize = 16 * 1024;

/// What an authority may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Authority {
    /// How many authorities may stand below it, where that is limited.
    room: Option<u8>,
}

/// A certificate that is one by its form. Nothing vouches for it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    signed: std::ops::Range<usize>,
    parsed: x509_cert::Certificate,
    authority: Option<Authority>,
    may_certify: bool,
    purposes: Vec<ObjectIdentifier>,
}

impl Certificate {
    pub(crate) fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::Malformed);
        }
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let signed = signed_part(der).ok_or(CertificateError::Malformed)?;
        let tbs = &parsed.tbs_certificate;
        if tbs.version != Version::V3 || tbs.signature != parsed.signature_algorithm {
            return Err(CertificateError::Malformed);
        }
        let mut certificate =
            Self { der: der.to_vec(), signed, authority: None, may_certify: true, purposes: Vec::new(), parsed };
        certificate.read_extensions()?;
        Ok(certificate)
    }

    fn read_extensions(&mut self) -> Result<(), CertificateError> {
        let malformed = |_| CertificateError::Malformed;
        let mut seen = BTreeSet::new();
        for extension in self.parsed.tbs_certificate.extensions.iter().flatten() {
            let value = extension.extn_value.as_bytes();
            if !seen.insert(extension.extn_id) {
                return Err(CertificateError::Malformed);
            }
            match extension.extn_id {
                BASIC_CONSTRAINTS => {
                    let constraints = BasicConstraints::from_der(value).map_err(malformed)?;
                    self.authority = constraints.ca.then_some(Authority { room: constraints.path_len_constraint });
                }
                KEY_USAGE => self.may_certify = KeyUsage::from_der(value).map_err(malformed)?.key_cert_sign(),
                EXTENDED_KEY_USAGE => self.purposes = ExtendedKeyUsage::from_der(value).map_err(malformed)?.0,
                NAME_CONSTRAINTS => return Err(CertificateError::UnknownExtension),
                other if extension.critical && !HARMLESS.contains(&other) => {
                    return Err(CertificateError::UnknownExtension);
                }
                _ => {}
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    pub(crate) fn key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.parsed.tbs_certificate.subject_public_key_info
    }

    /// The key, as `SubjectPublicKeyInfo`.
    pub(crate) fn key_der(&self) -> Option<Vec<u8>> {
        self.key().to_der().ok()
    }

    pub(crate) fn key_sha256(&self) -> Option<[u8; 32]> {
        Some(Sha256::digest(self.key_der()?).into())
    }

    pub(crate) fn is_authority(&self) -> bool {
        self.authority.is_some()
    }

    pub(crate) fn is_for(&self, purpose: ObjectIdentifier) -> bool {
        self.purposes.contains(&purpose)
    }

    /// The value of an extension.
    pub(crate) fn extension(&self, id: ObjectIdentifier) -> Option<&[u8]> {
        let mut extensions = self.parsed.tbs_certificate.extensions.iter().flatten();
        extensions.find(|extension| extension.extn_id == id).map(|extension| extension.extn_value.as_bytes())
    }

    pub(crate) fn subject(&self) -> String {
        self.parsed.tbs_certificate.subject.to_string()
    }

    pub(crate) fn check_time(&self, now: Timestamp) -> Result<(), CertificateError> {
        let validity = &self.parsed.tbs_certificate.validity;
        let seconds =
            |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        if now.as_unix() < seconds(&validity.not_before) {
            return Err(CertificateError::NotYetValid);
        }
        if now.as_unix() > seconds(&validity.not_after) {
            return Err(CertificateError::Expired);
        }
        Ok(())
    }

    /// Whether it says so, which proves nothing.
    pub(crate) fn is_issued_by(&self, issuer: &Self) -> bool {
        self.parsed.tbs_certificate.issuer == issuer.parsed.tbs_certificate.subject
    }

    /// Checks that `issuer` issued this certificate and may, with so many authorities below it.
    pub(crate) fn check_issuer(&self, issuer: &Self, authorities_below: usize) -> Result<(), CertificateError> {
        if !self.is_issued_by(issuer) {
            return Err(CertificateError::AnotherIssuer);
        }
        let room = issuer.authority.ok_or(CertificateError::NotAuthority)?.room;
        if !issuer.may_certify || room.is_some_and(|room| usize::from(room) < authorities_below) {
            return Err(CertificateError::NotAuthority);
        }
        let signed = self.parsed.signature.as_bytes().ok_or(CertificateError::Malformed)?;
        let message = &self.der[self.signed.clone()];
        if !signature::is_signed(issuer.key(), &self.parsed.signature_algorithm, message, signed) {
            return Err(CertificateError::Signature);
        }
        Ok(())
    }
}

/// Where the signed part lies: the bytes as they came, because some vendors' encoding is not canonical.
fn signed_part(der: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut reader = SliceReader::new(der).ok()?;
    Header::decode(&mut reader).ok()?;
    let start = usize::try_from(reader.position()).ok()?;
    Some(start..start + reader.tlv_bytes().ok()?.len())
}

/// What a chain has to end at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Anchors<'a> {
    /// Certificates that we have.
    pub(crate) certificates: &'a [Certificate],
    /// The SHA-256 of certificates that come with the evidence.
    pub(crate) sha256: Option<&'a BTreeSet<[u8; 32]>>,
}

/// Checks that certificates lead from `leaf`, one issuer after the other, to an anchor, and are all valid `now`.
///
/// Gives the certificates that were used, from the leaf to the anchor.
pub(crate) fn verify_chain<'a>(
    leaf: &'a Certificate,
    above: &'a [Certificate],
    anchors: &Anchors<'a>,
    now: Timestamp,
) -> Result<Vec<&'a Certificate>, CertificateError> {
    leaf.check_time(now)?;
    let mut chain = vec![leaf];
    let mut below = leaf;
    let mut above = above.iter();
    while chain.len() < MAX_CHAIN {
        let authorities = chain.len() - 1;
        if let Some(anchor) = anchors.certificates.iter().find(|anchor| below.check_issuer(anchor, authorities).is_ok())
        {
            anchor.check_time(now)?;
            chain.push(anchor);
            return Ok(chain);
        }
        let issuer = above.next().ok_or(CertificateError::NoAnchor)?;
        below.check_issuer(issuer, authorities)?;
        issuer.check_time(now)?;
        chain.push(issuer);
        if anchors.sha256.is_some_and(|known| known.contains(&issuer.sha256())) {
            return Ok(chain);
        }
        below = issuer;
    }
    Err(CertificateError::TooLong)
}

/// Why a certificate, or a chain, is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("a certificate was not issued by the next one")]
    AnotherIssuer,
    #[error("a certificate has expired")]
    Expired,
    #[error("a certificate is malformed")]
    Malformed,
    #[error("the chain does not lead to an anchor of the policy")]
    NoAnchor,
    #[error("an issuer may not issue such a certificate")]
    NotAuthority,
    #[error("a certificate is not valid yet")]
    NotYetValid,
    #[error("a certificate's signature is wrong")]
    Signature,
    #[error("the chain is too long")]
    TooLong,
    #[error("a certificate has a critical extension that is not known")]
    UnknownExtension,
}
