use agentkeys_types::Timestamp;
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, PKCS_RSA_SHA384,
    SignatureAlgorithm,
};

use super::*;
use crate::testing::NOW;

fn params(name: &str, is_ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = is_ca;
    params
}

fn authority(room: Option<u8>) -> IsCa {
    IsCa::Ca(room.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained))
}

struct Made {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn root(params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Made {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Made { certificate: Certificate::parse(&der).unwrap(), issuer: Issuer::new(params, key) }
}

impl Made {
    fn issue(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Self { certificate: Certificate::parse(&der).unwrap(), issuer: Issuer::new(params, key) }
    }
}

fn leaf() -> CertificateParams {
    params("leaf", IsCa::ExplicitNoCa)
}

/// A chain in which each issued the one before, the anchor last.
fn verify(chain: &[&Made], now: Timestamp) -> Result<usize, CertificateError> {
    let (leaf, above) = chain.split_first().unwrap();
    let (anchor, above) = above.split_last().unwrap();
    let above: Vec<_> = above.iter().map(|made| made.certificate.clone()).collect();
    let anchors = [anchor.certificate.clone()];
    let anchors = Anchors { certificates: &anchors, sha256: None };
    verify_chain(&leaf.certificate, &above, &anchors, now).map(|chain| chain.len())
}

#[test]
fn every_algorithm_of_tpm_makers_and_clouds_is_known() {
    for algorithm in [&PKCS_RSA_SHA256, &PKCS_RSA_SHA384, &PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384] {
        let root = root(params("root", authority(None)), algorithm);

        assert_eq!(verify(&[&root.issue(leaf()), &root], NOW), Ok(2), "{algorithm:?}");
    }
}

#[test]
fn an_algorithm_that_is_not_known_vouches_for_nothing() {
    let root = root(params("root", authority(None)), &PKCS_ED25519);

    assert_eq!(verify(&[&root.issue(leaf()), &root], NOW), Err(CertificateError::NoAnchor));
}

#[test]
fn a_chain_has_at_most_five_certificates() {
    let root = root(params("root", authority(None)), &PKCS_ECDSA_P384_SHA384);
    let one = root.issue(params("one", authority(None)));
    let two = one.issue(params("two", authority(None)));
    let three = two.issue(params("three", authority(None)));
    let four = three.issue(params("four", authority(None)));

    assert_eq!(verify(&[&three.issue(leaf()), &three, &two, &one, &root], NOW), Ok(5));
    assert_eq!(verify(&[&four.issue(leaf()), &four, &three, &two, &one, &root], NOW), Err(CertificateError::TooLong));
}

#[test]
fn an_anchor_given_by_its_hash_comes_with_the_chain() {
    let root = root(params("root", authority(None)), &PKCS_ECDSA_P384_SHA384);
    let leaf = root.issue(leaf());
    let (own, other) = (BTreeSet::from([root.certificate.sha256()]), BTreeSet::from([[1; 32]]));
    let above = [root.certificate.clone()];
    let verify =
        |known| verify_chain(&leaf.certificate, &above, &Anchors { certificates: &[], sha256: Some(known) }, NOW);

    assert_eq!(verify(&own).map(|chain| chain.len()), Ok(2));
    assert_eq!(verify(&other), Err(CertificateError::NoAnchor));
}

#[test]
fn whoever_is_no_authority_or_has_no_room_left_issues_nothing() {
    let root_with_room = root(params("root", authority(Some(0))), &PKCS_ECDSA_P384_SHA384);
    let below = root_with_room.issue(params("below", authority(None)));
    let mut cannot_certify = params("root", authority(None));
    cannot_certify.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let cannot_certify = root(cannot_certify, &PKCS_ECDSA_P384_SHA384);
    let no_authority = root_with_room.issue(leaf());

    assert_eq!(verify(&[&root_with_room.issue(leaf()), &root_with_room], NOW), Ok(2));
    assert_eq!(verify(&[&below.issue(leaf()), &below, &root_with_room], NOW), Err(CertificateError::NoAnchor));
    assert_eq!(verify(&[&cannot_certify.issue(leaf()), &cannot_certify], NOW), Err(CertificateError::NoAnchor));
    let below_a_leaf = [&no_authority.issue(params("deeper", IsCa::NoCa)), &no_authority, &root_with_room];
    assert_eq!(verify(&below_a_leaf, NOW), Err(CertificateError::NotAuthority));
}

#[test]
fn an_authority_of_the_same_name_is_not_the_same() {
    let (ours, theirs) = (params("root", authority(None)), params("root", authority(None)));
    let (ours, theirs) = (root(ours, &PKCS_ECDSA_P384_SHA384), root(theirs, &PKCS_ECDSA_P384_SHA384));

    assert_eq!(verify(&[&theirs.issue(leaf()), &ours], NOW), Err(CertificateError::NoAnchor));
    let with_theirs_between = [&theirs.issue(leaf()), &theirs, &ours];
    assert_eq!(verify(&with_theirs_between, NOW), Err(CertificateError::NoAnchor));
}

#[test]
fn each_certificate_of_the_chain_must_be_in_its_time() {
    let mut old = params("root", authority(None));
    old.not_after = rcgen::date_time_ymd(2025, 6, 1);
    let old = root(old, &PKCS_ECDSA_P384_SHA384);
    let in_its_time = Timestamp::from_unix(1_700_000_000);

    assert_eq!(verify(&[&old.issue(leaf()), &old], in_its_time), Ok(2));
    assert_eq!(verify(&[&old.issue(leaf()), &old], NOW), Err(CertificateError::Expired));
}

#[test]
fn a_critical_extension_that_is_not_known_is_refused() {
    let with = |critical| {
        let mut params = leaf();
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        extension.set_criticality(critical);
        params.custom_extensions = vec![extension];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Certificate::parse(params.self_signed(&key).unwrap().der())
    };

    assert!(with(false).is_ok());
    assert_eq!(with(true), Err(CertificateError::UnknownExtension));
}

#[test]
fn the_purpose_of_an_endorsement_key_is_read() {
    let mut endorsement = leaf();
    endorsement.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
    let root = root(params("root", authority(None)), &PKCS_ECDSA_P384_SHA384);

    assert!(root.issue(endorsement).certificate.is_for(EK_CERTIFICATE));
    assert!(!root.issue(leaf()).certificate.is_for(EK_CERTIFICATE));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        thread_local!(static MADE: Vec<u8> = root(params("root", authority(Some(1))), &PKCS_ECDSA_P256_SHA256).certificate.der().to_vec());
        let _ = Certificate::parse(&bytes);
        MADE.with(|der| {
            let mut changed = der.clone();
            changed[at.index(der.len())] = byte;
            if let Ok(changed) = Certificate::parse(&changed) {
                let _ = changed.check_issuer(&changed, 0);
                let _ = changed.check_time(NOW);
            }
            let longer = [&der[..], &[0]].concat();
            prop_assert_eq!(Certificate::parse(&longer), Err(CertificateError::Malformed));
            Ok(())
        })?;
    }
}
