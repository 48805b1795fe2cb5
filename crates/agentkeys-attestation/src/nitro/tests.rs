//! A genuine document of AWS, and documents under a root for tests.

use agentkeys_api::attestation::{Backend, Endorsements, RawEvidence};
use agentkeys_types::Timestamp;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair},
};
use coset::{CoseSign1Builder, HeaderBuilder};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384};

use super::*;
use crate::{
    Pinned, Policy, PolicyError,
    testing::{CHANNEL, NONCE, NOW, Worker, b64, context, evidence_by, failed_checks, failures, judge as judge_whole},
};

const GENUINE: &[u8] = include_bytes!("../../tests/fixtures/attestation.cose");
const ITS_TIME: Timestamp = Timestamp::from_unix(1_736_179_625);

fn entry(document: &Document) -> AcceptNitro {
    let found = |number: &u8| document.pcrs[number].as_slice().try_into().unwrap();
    let pcr = [0, 1, 2].iter().map(|number| (*number, BTreeSet::from([found(number)]))).collect();
    AcceptNitro { release: "0.4.0".parse().unwrap(), pcr, root: NitroRoot::AwsG1 }
}

fn failed(bytes: &[u8], now: Timestamp) -> Option<Vec<CheckName>> {
    let entry = entry(&Document::parse(GENUINE).unwrap());
    Some(failed_checks(&judge(&Document::parse(bytes)?, &entry, &context(now)).checks))
}

/// A security module under a root of its own.
struct Mock {
    root: Vec<u8>,
    certificate: Vec<u8>,
    key: EcdsaKeyPair,
    image: [u8; 48],
    nonce: Value,
}

impl Mock {
    fn new() -> Self {
        let keys = || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let params = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let (root_key, key) = (keys(), keys());
        let mut root = params("root, for tests only");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = root.self_signed(&root_key).unwrap().der().to_vec();
        let issuer = Issuer::new(root, root_key);
        Self {
            root: der,
            certificate: params("module").signed_by(&key, &issuer).unwrap().der().to_vec(),
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, key.serialized_der()).unwrap(),
            image: [5; 48],
            nonce: Value::Null,
        }
    }

    fn document(&self, user_data: &[u8]) -> Vec<u8> {
        let text = |text: &str| Value::Text(text.to_owned());
        let payload = Value::Map(vec![
            (text("module_id"), text("module")),
            (text("digest"), text("SHA384")),
            (text("timestamp"), 1_u8.into()),
            (text("pcrs"), Value::Map(vec![(0.into(), Value::Bytes(self.image.to_vec()))])),
            (text("certificate"), Value::Bytes(self.certificate.clone())),
            (text("cabundle"), Value::Array(vec![Value::Bytes(self.root.clone())])),
            (text("user_data"), Value::Bytes(user_data.to_vec())),
            (text("nonce"), self.nonce.clone()),
        ]);
        let mut bytes = Vec::new();
        ciborium::into_writer(&payload, &mut bytes).unwrap();
        let sign = |message: &[u8]| self.key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
        let builder = CoseSign1Builder::new()
            .protected(HeaderBuilder::new().algorithm(iana::Algorithm::ES384).build())
            .payload(bytes)
            .create_signature(b"", sign);
        builder.build().to_vec().unwrap()
    }

    fn policy_text(&self) -> String {
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE", self.root.clone()));
        format!(
            "version = 1\nmin_release = \"0.4.0\"\nallow_dev = true\n[[accept]]\nbackend = \"nitro\"\nrelease = \"0.4.0\"\n\
             pcr = {{ 0 = [\"{}\"] }}\n[accept.anchor]\ntest_root = '''\n{pem}'''",
            hex::encode([5; 48])
        )
    }

    fn failures(&self, user_data: &[u8], policy: &str) -> Vec<CheckName> {
        let raw = RawEvidence { report: Some(b64(self.document(user_data))), ..RawEvidence::default() };
        let evidence = evidence_by(Backend::Nitro, raw, Endorsements::default());
        failures(&judge_whole(&Policy::parse(policy).unwrap(), &evidence, &Pinned::default(), NOW))
    }
}

fn ours() -> [u8; 64] {
    Worker::new().report_data(&NONCE, &CHANNEL).1
}

#[test]
fn a_genuine_document_is_verified_up_to_awss_root_and_binds_something_else() {
    assert_eq!(failed(GENUINE, ITS_TIME).unwrap(), [CheckName::ReportData]);
}

#[test]
fn a_genuine_document_is_refused_once_its_certificate_has_expired() {
    assert_eq!(failed(GENUINE, NOW).unwrap(), [CheckName::EndorsementChain, CheckName::ReportData]);
}

#[test]
fn a_flipped_bit_is_refused() {
    let last = GENUINE.len() - 1;
    for at in [200, last - 96, last] {
        let mut changed = GENUINE.to_vec();
        changed[at] ^= 1;

        let found = failed(&changed, ITS_TIME);

        assert!(found.is_none_or(|found| found.contains(&CheckName::Signature)), "{at}");
    }
}

#[test]
fn another_image_is_refused() {
    let document = Document::parse(GENUINE).unwrap();
    let mut entry = entry(&document);
    entry.pcr.insert(2, BTreeSet::from([[1; 48]]));

    let found = failed_checks(&judge(&document, &entry, &context(ITS_TIME)).checks);

    assert_eq!(found, [CheckName::ReportData, CheckName::Pcrs]);
}

#[test]
fn a_document_under_a_test_root_that_the_policy_names_is_accepted_and_says_so() {
    let mock = Mock::new();
    let document = Document::parse(&mock.document(&ours())).unwrap();
    let entry = AcceptNitro { root: NitroRoot::Test(mock.root.clone()), ..entry(&Document::parse(GENUINE).unwrap()) };

    let checks = judge(&document, &entry, &context(NOW)).checks;

    assert_eq!(mock.failures(&ours(), &mock.policy_text()), []);
    assert!(checks[0].detail.contains("no hardware vouches"), "{}", checks[0].detail);
}

#[test]
fn a_test_root_vouches_neither_for_awss_documents_nor_for_another_root() {
    let (mock, stranger) = (Mock::new(), Mock::new());
    let anchor = mock.policy_text();
    let aws = format!("{}\nroot = \"aws-nitro-g1\"", &anchor[..anchor.find("test_root").unwrap()]);
    let genuine = Document::parse(GENUINE).unwrap();
    let test_root = AcceptNitro { root: NitroRoot::Test(mock.root.clone()), ..entry(&genuine) };

    assert_eq!(mock.failures(&ours(), &aws), [CheckName::EndorsementChain]);
    assert_eq!(stranger.failures(&ours(), &anchor), [CheckName::EndorsementChain]);
    let found = failed_checks(&judge(&genuine, &test_root, &context(ITS_TIME)).checks);
    assert_eq!(found, [CheckName::EndorsementChain, CheckName::ReportData]);
}

#[test]
fn a_test_root_is_refused_where_development_is_and_awss_root_is_no_test_root() {
    let mock = Mock::new();
    let strict = mock.policy_text().replace("allow_dev = true\n", "");
    let aws = Mock { root: Document::parse(GENUINE).unwrap().cabundle.last().unwrap().der().to_vec(), ..mock };

    for text in [strict, aws.policy_text()] {
        let refused = Policy::parse(&text).unwrap_err();

        assert!(matches!(refused, PolicyError::Invalid { field, .. } if field == "accept[0].anchor.test_root"));
    }
}

#[test]
fn an_enclave_in_debug_mode_another_binding_and_another_nonce_are_refused() {
    let mock = Mock::new();
    let policy = mock.policy_text();
    let debugged = Mock { image: [0; 48], ..Mock::new() };
    let zeros = debugged.policy_text().replace(&hex::encode([5; 48]), &hex::encode([0; 48]));
    let other_nonce = Mock { nonce: Value::Bytes(vec![8; 32]), ..Mock::new() };
    let same_nonce = Mock { nonce: Value::Bytes(NONCE.to_vec()), ..Mock::new() };

    assert_eq!(mock.failures(&[1; 64], &policy), [CheckName::ReportData]);
    assert_eq!(mock.failures(&[], &policy), [CheckName::ReportData]);
    assert_eq!(debugged.failures(&ours(), &zeros), [CheckName::Debug]);
    assert_eq!(other_nonce.failures(&ours(), &other_nonce.policy_text()), [CheckName::ReportData]);
    assert_eq!(same_nonce.failures(&ours(), &same_nonce.policy_text()), []);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), at in 0..GENUINE.len(), byte in any::<u8>(), end in 0..GENUINE.len()) {
        let mut changed = GENUINE.to_vec();
        changed[at] = byte;
        for document in [&bytes[..], &changed, &GENUINE[..end]] {
            let _ = failed(document, ITS_TIME);
        }
    }
}
