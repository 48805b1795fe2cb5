//! Genuine reports, and what was made of them.

use std::collections::BTreeSet;

use agentkeys_api::attestation::{Backend, Endorsements, RawEvidence};
use agentkeys_types::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    Pinned, Policy,
    testing::{NOW, b64, context, evidence_by, failed_checks, failures, judge as judge_whole},
};

const MILAN_KEY: &[u8] = include_bytes!("../../tests/fixtures/vcek_milan.der");
const TURIN_KEY: &[u8] = include_bytes!("../../tests/fixtures/vcek_turin.der");

fn bytes() -> Vec<u8> {
    hex::decode(include_str!("../../tests/fixtures/report_milan.hex").trim()).unwrap()
}

fn milan() -> SnpReport {
    SnpReport::parse(&bytes()).unwrap()
}

fn entry() -> AcceptSevSnp {
    AcceptSevSnp {
        release: "0.4.0".parse().unwrap(),
        measurement: BTreeSet::from([milan().measurement()]),
        min_tcb: milan().tcb(Layout::Early),
        debug: false,
        chip_id: None,
    }
}

fn failed(report: &SnpReport, entry: &AcceptSevSnp, now: Timestamp) -> Vec<CheckName> {
    failed_checks(&judge(report, &ChipKey::read(MILAN_KEY).unwrap(), entry, &context(now)))
}

#[test]
fn a_genuine_report_of_milan_is_verified_up_to_amds_root() {
    assert_eq!(failed(&milan(), &entry(), NOW), []);
}

#[test]
fn the_certificate_of_a_turin_chip_leads_to_amds_root() {
    let checks = ChipKey::read(TURIN_KEY).unwrap().chain(&context(NOW));

    assert_eq!(failed_checks(&checks), []);
}

#[test]
fn a_flipped_bit_anywhere_in_what_is_signed_is_refused() {
    for at in [0x08, 0x50, 0x90, 0x140, SIGNED - 1, SIGNED, SIGNED + SCALAR] {
        let mut changed = bytes();
        changed[at] ^= 1;

        let found = failed(&SnpReport::parse(&changed).unwrap(), &entry(), NOW);

        assert!(found.contains(&CheckName::Signature), "{at:#x}: {found:?}");
    }
}

#[test]
fn another_measurement_older_firmware_and_another_chip_are_refused() {
    let other = AcceptSevSnp { measurement: BTreeSet::from([[1; 48]]), ..entry() };
    let newer = SnpTcb { snp: entry().min_tcb.snp + 1, ..entry().min_tcb };
    let newer = AcceptSevSnp { min_tcb: newer, ..entry() };
    let elsewhere = AcceptSevSnp { chip_id: Some(BTreeSet::from([[1; 64]])), ..entry() };
    let here = AcceptSevSnp { chip_id: Some(BTreeSet::from([milan().chip_id()])), ..entry() };

    assert_eq!(failed(&milan(), &other, NOW), [CheckName::Measurement]);
    assert_eq!(failed(&milan(), &newer, NOW), [CheckName::Tcb]);
    assert_eq!(failed(&milan(), &elsewhere, NOW), [CheckName::Machine]);
    assert_eq!(failed(&milan(), &here, NOW), []);
}

#[test]
fn a_guest_that_can_be_debugged_or_moved_or_is_less_privileged_is_refused() {
    for (at, bit) in [(0x0A, 1 << 3), (0x0A, 1 << 2), (0x30, 1)] {
        let mut changed = bytes();
        changed[at] |= bit;

        let found = failed(&SnpReport::parse(&changed).unwrap(), &entry(), NOW);

        assert_eq!(found, [CheckName::Signature, CheckName::Debug], "{at:#x}");
    }
}

#[test]
fn the_key_of_another_chip_vouches_for_nothing() {
    let key = ChipKey::read(TURIN_KEY).unwrap();

    let found = failed_checks(&judge(&milan(), &key, &entry(), &context(NOW)));

    assert_eq!(found, [CheckName::Signature, CheckName::Tcb]);
}

#[test]
fn a_certificate_is_refused_before_and_after_its_time_and_when_its_issuer_is_unknown() {
    let (before, after) = (Timestamp::from_unix(1_600_000_000), Timestamp::from_unix(2_000_000_000));
    let maker = crate::testing::Vendor::new();

    assert_eq!(failed(&milan(), &entry(), before), [CheckName::EndorsementChain]);
    assert_eq!(failed(&milan(), &entry(), after), [CheckName::EndorsementChain]);
    assert!(ChipKey::read(&maker.endorse(|_| {})).is_err());
}

#[test]
fn a_genuine_report_that_binds_something_else_is_refused_for_that_alone() {
    let tcb = entry().min_tcb;
    let policy = Policy::parse(&format!(
        "version = 1\nmin_release = \"0.4.0\"\nrevoked = []\n[[accept]]\nbackend = \"sev-snp\"\nrelease = \"0.4.0\"\nmeasurement = [\"{}\"]\n\
         min_tcb = {{ bootloader = {}, tee = {}, snp = {}, microcode = {} }}",
        hex::encode(milan().measurement()),
        tcb.bootloader,
        tcb.tee,
        tcb.snp,
        tcb.microcode
    ))
    .unwrap();
    let raw = RawEvidence { report: Some(b64(bytes())), ..RawEvidence::default() };
    let endorsed = Endorsements { chain: vec![b64(MILAN_KEY)], ..Endorsements::default() };
    let genuine = evidence_by(Backend::SevSnp, raw.clone(), endorsed);
    let without_key = evidence_by(Backend::SevSnp, raw, Endorsements::default());

    let bound = judge_whole(&policy, &genuine, &Pinned::default(), NOW);
    let unendorsed = judge_whole(&policy, &without_key, &Pinned::default(), NOW);

    assert_eq!(failures(&bound), [CheckName::ReportData]);
    assert_eq!(failures(&unendorsed), [CheckName::EndorsementChain, CheckName::ReportData]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut report in any::<Vec<u8>>(), at in 0..REPORT_SIZE, byte in any::<u8>()) {
        let _ = SnpReport::parse(&report);
        report = bytes();
        report[at] = byte;
        if let Some(report) = SnpReport::parse(&report) {
            let _ = failed(&report, &entry(), NOW);
        }
    }

    #[test]
    fn no_changed_certificate_makes_it_panic(at in 0..MILAN_KEY.len(), byte in any::<u8>()) {
        let mut key = MILAN_KEY.to_vec();
        key[at] = byte;
        let is_changed = key != MILAN_KEY;
        if let Ok(key) = ChipKey::read(&key) {
            let found = failed_checks(&key.chain(&context(NOW)));
            prop_assert_eq!(is_changed, !found.is_empty());
        }
    }
}
