//! Evidence made of genuine reports and quotes, as a client verifies it.
//!
//! They bind what their makers had them bind, so that this is all that may be wrong with them.

use std::sync::Arc;

use agentkeys_api::attestation::AttestationEvidence;
use agentkeys_attestation::{Channel, CheckName, Expected, Outcome, Pinned, Policy, Stage, Verifier};
use agentkeys_http::TlsChannel;
use agentkeys_signer::Attester;
use agentkeys_tlog::{Checkpoint, Hash, SignerKey};
use agentkeys_types::Timestamp;

use super::*;
use crate::{LatestCheckpoint, PlatformAttester, Statement};

const MILAN: &str = include_str!("../../../../agentkeys-attestation/tests/fixtures/report_milan.hex");
const MILAN_KEY: &[u8] = include_bytes!("../../../../agentkeys-attestation/tests/fixtures/vcek_milan.der");
const QUOTE: &[u8] = include_bytes!("../../../../agentkeys-attestation/tests/fixtures/tdx_quote");
const COLLATERAL: &str = include_str!("../../../../agentkeys-attestation/tests/fixtures/tdx_quote_collateral.json");

const NONCE: [u8; 32] = [1; 32];
const CHANNEL: TlsChannel = TlsChannel { spki_sha256: [2; 32], exporter: [3; 32] };
const RELEASE: &str = env!("CARGO_PKG_VERSION");
/// When the certificate of the Milan chip was valid.
const MILANS_TIME: Timestamp = Timestamp::from_unix(1_767_225_600);

/// A platform whose kernel has made the folder already.
#[derive(Debug)]
struct InFolder {
    tsm: ConfigfsTsm,
    folder: PathBuf,
}

impl Platform for InFolder {
    fn backend(&self) -> Backend {
        self.tsm.backend()
    }

    fn vouch(&self, report_data: &ReportData<'_>) -> Result<Vouched, AttestError> {
        self.tsm.vouch_in(&self.folder, &report_data.sha512()).map_err(|_| AttestError::Unavailable)
    }
}

#[derive(Debug)]
struct Log(Arc<str>);

impl LatestCheckpoint for Log {
    fn latest(&self) -> Arc<str> {
        self.0.clone()
    }
}

/// The whole evidence of a worker to which the kernel answers.
fn evidence(kernel: &Kernel, tsm: ConfigfsTsm) -> Result<AttestationEvidence, AttestError> {
    let key = SignerKey::from_seed("signer.example/log", &[9; 32]).unwrap();
    let note = Checkpoint::new("signer.example/log", 1, Hash::from_bytes([1; 32]), None).sign(&key).unwrap();
    let statement = Statement {
        identity_pub: [2; 33],
        log_vkey: key.verifier().to_string(),
        boot_counter: 0,
        signs_any_message: false,
        log: Arc::new(Log(note.into())),
    };
    let folder = kernel.folder.path().to_owned();
    PlatformAttester::new(statement, Arc::new(InFolder { tsm, folder })).evidence(&NONCE, &CHANNEL)
}

/// What is wrong with it, for the client that asked.
fn failures(evidence: &AttestationEvidence, accept: &str, now: Timestamp) -> Vec<CheckName> {
    let policy = format!(
        "version = 1\nmin_release = \"{RELEASE}\"\nrevoked = []\n[[accept]]\nrelease = \"{RELEASE}\"\n{accept}"
    );
    let (TlsChannel { spki_sha256, exporter }, pinned) = (CHANNEL, Pinned::default());
    let expected =
        Expected { nonce: NONCE, channel: Channel { spki_sha256, exporter }, pinned: &pinned, stage: Stage::Signing };
    let verdict = Verifier::new(Policy::parse(&policy).unwrap()).verify(evidence, &expected, now);
    let checks = verdict.checks().iter();
    // What is neither passed nor failed does not concern the platform.
    assert!(checks.clone().all(|check| check.outcome != Outcome::Pending));
    checks.filter(|check| check.outcome == Outcome::Failed).map(|check| check.name).collect()
}

fn milan() -> Vec<u8> {
    hex::decode(MILAN.trim()).unwrap()
}

/// Accepts what the genuine report was measured as.
fn accept_milan() -> String {
    let (report, measurement) = (milan(), hex::encode(&milan()[0x90..0xC0]));
    let [bootloader, tee, .., snp, microcode] = report[0x180..0x188] else { panic!("eight bytes") };
    format!(
        "backend = \"sev-snp\"\nmeasurement = [\"{measurement}\"]\n\
         min_tcb = {{ bootloader = {bootloader}, tee = {tee}, snp = {snp}, microcode = {microcode} }}"
    )
}

/// The host's table with the chip's certificate alone.
fn table() -> Vec<u8> {
    let guid = hex::decode("63da758de6644564adc5f4b93be8accd").unwrap();
    let length = u32::try_from(MILAN_KEY.len()).unwrap();
    [&guid[..], &48_u32.to_le_bytes(), &length.to_le_bytes(), &[0; 24], MILAN_KEY].concat()
}

/// Accepts what the genuine quote was measured as.
fn accept_quote() -> String {
    let (measurement, register) = (hex::encode(&QUOTE[184..232]), hex::encode(&QUOTE[424..472]));
    format!("backend = \"tdx\"\nmr_td = [\"{measurement}\"]\nrtmr = {{ 1 = [\"{register}\"] }}")
}

/// An hour after Intel issued the collateral.
fn quotes_time() -> Timestamp {
    let collateral: serde_json::Value = serde_json::from_str(COLLATERAL).unwrap();
    let info: serde_json::Value = serde_json::from_str(collateral["tcb_info"].as_str().unwrap()).unwrap();
    let issued: Timestamp = info["issueDate"].as_str().unwrap().parse().unwrap();
    Timestamp::from_unix(issued.as_unix() + 3600)
}

#[test]
fn evidence_of_a_genuine_report_of_sev_snp_lacks_nothing_but_what_is_bound() {
    let kernel = Kernel::answering("sev_guest", "5\n", Some(&table()), milan());

    let evidence = evidence(&kernel, ConfigfsTsm::sev_snp(kernel.folder.path())).unwrap();

    assert_eq!(failures(&evidence, &accept_milan(), MILANS_TIME), [CheckName::ReportData]);
    assert_eq!(hex::encode(kernel.asked.join().unwrap()), evidence.report_data);
}

#[test]
fn a_report_of_sev_snp_without_the_hosts_table_is_not_endorsed() {
    let kernel = Kernel::answering("sev_guest", "5\n", None, milan());

    let evidence = evidence(&kernel, ConfigfsTsm::sev_snp(kernel.folder.path())).unwrap();

    let failed = failures(&evidence, &accept_milan(), MILANS_TIME);
    assert_eq!(failed, [CheckName::EndorsementChain, CheckName::ReportData]);
}

#[test]
fn evidence_of_a_genuine_quote_of_tdx_lacks_nothing_but_what_is_bound() {
    let kernel = Kernel::answering("tdx_guest", "5\n", None, QUOTE);
    let collateral = kernel.folder.path().join("collateral.json");
    fs::write(&collateral, COLLATERAL).unwrap();

    let evidence = evidence(&kernel, ConfigfsTsm::tdx(kernel.folder.path(), &collateral)).unwrap();

    assert_eq!(failures(&evidence, &accept_quote(), quotes_time()), [CheckName::ReportData]);
    assert_eq!(hex::encode(kernel.asked.join().unwrap()), evidence.report_data);
}

#[test]
fn a_quote_of_tdx_without_collateral_or_with_what_has_expired_is_refused() {
    let without = Kernel::answering("tdx_guest", "5\n", None, QUOTE);
    let missing = without.folder.path().join("collateral.json");
    let late = Kernel::answering("tdx_guest", "5\n", None, QUOTE);
    let expired = late.folder.path().join("collateral.json");
    fs::write(&expired, COLLATERAL).unwrap();

    let without = evidence(&without, ConfigfsTsm::tdx(without.folder.path(), &missing)).unwrap();
    let late = evidence(&late, ConfigfsTsm::tdx(late.folder.path(), &expired)).unwrap();

    assert_eq!(failures(&without, &accept_quote(), quotes_time()), [CheckName::Revocation, CheckName::Release]);
    let a_year_later = quotes_time().after(std::time::Duration::from_hours(365 * 24));
    assert!(!failures(&late, &accept_quote(), a_year_later).is_empty());
}

#[test]
fn another_technology_and_a_generation_that_somebody_else_has_changed_give_no_evidence() {
    let other = Kernel::answering("tdx_guest", "5\n", None, QUOTE);
    let changed = Kernel::answering("sev_guest", "6\n", Some(&table()), milan());

    for kernel in [other, changed] {
        let refused = evidence(&kernel, ConfigfsTsm::sev_snp(kernel.folder.path()));

        assert_eq!(refused.unwrap_err(), AttestError::Unavailable);
    }
}
