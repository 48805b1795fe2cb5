//! Evidence of a worker in a Nitro Enclave, as the worker makes it and as a client verifies it.
//!
//! The security module is a mock under a root of its own; all else is what runs in production.

use std::sync::Arc;

use agentkeys_api::attestation::AttestationEvidence;
use agentkeys_attestation::{Channel, CheckName, Expected, Outcome, Pinned, Policy, Stage, Verdict, Verifier};
use agentkeys_crypto::MasterSecret;
use agentkeys_http::TlsChannel;
use agentkeys_signer::Attester;
use agentkeys_tee_worker::{
    MockNsm, Nitro, PlatformAttester, Statement,
    log::{Counter, CounterError, TransparencyLog},
};
use agentkeys_testing::ManualClock;
use agentkeys_types::Clock;
use base64::{Engine, prelude::BASE64_STANDARD};
use tempfile::TempDir;

const NONCE: [u8; 32] = [1; 32];
const CHANNEL: TlsChannel = TlsChannel { spki_sha256: [2; 32], exporter: [3; 32] };
const IMAGE: [[u8; 48]; 3] = [[4; 48], [5; 48], [6; 48]];
/// What an enclave in debug mode shows.
const ZEROS: [[u8; 48]; 3] = [[0; 48]; 3];
const AWS: &str = "root = \"aws-nitro-g1\"";

/// A worker in an enclave that has measured its image.
struct Enclave {
    nsm: Arc<MockNsm>,
    attester: PlatformAttester,
    clock: Arc<ManualClock>,
    _folder: TempDir,
}

impl Enclave {
    fn new(pcrs: [[u8; 48]; 3]) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::default()));
        let master_secret = MasterSecret::new(&[7; 32]);
        let seed = master_secret.log_key_seed();
        let log =
            TransparencyLog::create(folder.path(), "signer.example/log", &seed, Arc::new(NoCounter), clock.clone());
        let log = log.unwrap();
        let nsm = Arc::new(MockNsm::new(pcrs, clock.clone()));
        let statement = Statement {
            identity_pub: master_secret.identity_public_key(),
            log_vkey: log.verifier_key().to_string(),
            boot_counter: 1,
            signs_any_message: false,
            log: Arc::new(log),
        };
        let attester = PlatformAttester::new(statement, Arc::new(Nitro::new(nsm.clone())));
        Self { nsm, attester, clock, _folder: folder }
    }

    fn evidence(&self) -> AttestationEvidence {
        self.attester.evidence(&NONCE, &CHANNEL).unwrap()
    }

    /// The anchor of a policy that names this enclave's own root.
    fn root(&self) -> String {
        let root = pem::encode(&pem::Pem::new("CERTIFICATE", self.nsm.root()));
        format!("test_root = '''\n{root}'''")
    }

    /// What a client says that asked with `NONCE` on `CHANNEL`.
    fn judge(&self, evidence: &AttestationEvidence, pcrs: [[u8; 48]; 3], anchor: &str) -> Verdict {
        self.judge_as_asked(evidence, &policy(pcrs, anchor), NONCE, CHANNEL)
    }

    fn judge_as_asked(
        &self,
        evidence: &AttestationEvidence,
        policy: &Policy,
        nonce: [u8; 32],
        TlsChannel { spki_sha256, exporter }: TlsChannel,
    ) -> Verdict {
        let pinned = Pinned::default();
        let expected =
            Expected { nonce, channel: Channel { spki_sha256, exporter }, pinned: &pinned, stage: Stage::Signing };
        Verifier::new(policy.clone()).verify(evidence, &expected, self.clock.now())
    }
}

/// What an enclave has.
#[derive(Debug)]
struct NoCounter;

impl Counter for NoCounter {
    fn read(&self) -> Result<Option<u64>, CounterError> {
        Ok(None)
    }

    fn bump(&self) -> Result<Option<u64>, CounterError> {
        Ok(None)
    }
}

/// A policy with one entry, for the release that is tested.
fn policy(pcrs: [[u8; 48]; 3], anchor: &str) -> Policy {
    let release = env!("CARGO_PKG_VERSION");
    let [image, kernel, application] = pcrs.map(hex::encode);
    let text = format!(
        "version = 1\nmin_release = \"{release}\"\nallow_dev = true\n[[accept]]\nbackend = \"nitro\"\n\
         release = \"{release}\"\npcr = {{ 0 = [\"{image}\"], 1 = [\"{kernel}\"], 2 = [\"{application}\"] }}\n\
         [accept.anchor]\n{anchor}"
    );
    Policy::parse(&text).unwrap()
}

fn failures(verdict: &Verdict) -> Vec<CheckName> {
    let failed = verdict.checks().iter().filter(|check| check.outcome == Outcome::Failed);
    failed.map(|check| check.name).collect()
}

#[test]
fn a_worker_in_an_enclave_is_accepted_by_a_policy_that_names_its_root() {
    let enclave = Enclave::new(IMAGE);

    let verdict = enclave.judge(&enclave.evidence(), IMAGE, &enclave.root());

    assert_eq!(failures(&verdict), []);
    assert!(verdict.accepted(), "{:?}", verdict.checks());
}

#[test]
fn a_mock_is_refused_by_a_policy_that_names_awss_root_or_another_mocks() {
    let (enclave, other) = (Enclave::new(IMAGE), Enclave::new(IMAGE));
    let evidence = enclave.evidence();

    assert_eq!(failures(&enclave.judge(&evidence, IMAGE, AWS)), [CheckName::EndorsementChain]);
    assert_eq!(failures(&enclave.judge(&evidence, IMAGE, &other.root())), [CheckName::EndorsementChain]);
}

#[test]
fn evidence_for_another_nonce_or_connection_is_refused() {
    let enclave = Enclave::new(IMAGE);
    let (evidence, policy) = (enclave.evidence(), policy(IMAGE, &enclave.root()));
    let of_another_key = TlsChannel { spki_sha256: [8; 32], ..CHANNEL };
    let of_a_relay = TlsChannel { exporter: [8; 32], ..CHANNEL };

    let stale = enclave.judge_as_asked(&evidence, &policy, [8; 32], CHANNEL);
    let of_another_key = enclave.judge_as_asked(&evidence, &policy, NONCE, of_another_key);
    let of_a_relay = enclave.judge_as_asked(&evidence, &policy, NONCE, of_a_relay);

    assert_eq!(failures(&stale), [CheckName::Nonce, CheckName::Exporter, CheckName::ReportData]);
    assert_eq!(failures(&of_another_key), [CheckName::TlsKey, CheckName::Exporter, CheckName::ReportData]);
    assert_eq!(failures(&of_a_relay), [CheckName::Exporter, CheckName::ReportData]);
}

#[test]
fn an_answer_that_claims_another_nonce_or_connection_than_the_document_binds_is_refused() {
    let enclave = Enclave::new(IMAGE);
    let report = enclave.attester.evidence(&[8; 32], &CHANNEL).unwrap().evidence;

    let replayed = AttestationEvidence { evidence: report, ..enclave.evidence() };

    assert_eq!(failures(&enclave.judge(&replayed, IMAGE, &enclave.root())), [CheckName::ReportData]);
}

#[test]
fn another_image_and_debug_mode_are_refused() {
    let (enclave, debugged) = (Enclave::new(IMAGE), Enclave::new(ZEROS));
    let another_image = [IMAGE[0], IMAGE[1], [8; 48]];

    let another_image = enclave.judge(&enclave.evidence(), another_image, &enclave.root());
    let by_its_image = debugged.judge(&debugged.evidence(), IMAGE, &debugged.root());
    let even_where_listed = debugged.judge(&debugged.evidence(), ZEROS, &debugged.root());

    assert_eq!(failures(&another_image), [CheckName::Pcrs]);
    assert_eq!(failures(&by_its_image), [CheckName::Pcrs, CheckName::Debug]);
    assert_eq!(failures(&even_where_listed), [CheckName::Debug]);
}

#[test]
fn a_bit_that_is_flipped_anywhere_in_the_document_is_noticed() {
    let enclave = Enclave::new(IMAGE);
    let (evidence, root) = (enclave.evidence(), enclave.root());
    let document = BASE64_STANDARD.decode(evidence.evidence.report.as_deref().unwrap()).unwrap();

    for at in 0..document.len() {
        let (mut changed, mut document) = (evidence.clone(), document.clone());
        document[at] ^= 1 << (at % 8);
        changed.evidence.report = Some(BASE64_STANDARD.encode(document));

        let verdict = enclave.judge(&changed, IMAGE, &root);

        assert!(failures(&verdict).contains(&CheckName::Signature), "{at}: {:?}", failures(&verdict));
    }
}
