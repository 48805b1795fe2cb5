//! Genuine quotes with genuine collateral, at their own time.

use std::collections::BTreeSet;

use agentkeys_api::attestation::{Backend, Endorsements, RawEvidence};
use agentkeys_types::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    Pinned, Policy,
    testing::{b64, context, evidence_by, failed_checks, failures, judge},
};

struct Sample {
    quote: &'static [u8],
    collateral: &'static str,
}

macro_rules! sample {
    ($name:literal) => {
        Sample {
            quote: include_bytes!(concat!("../../tests/fixtures/", $name)),
            collateral: include_str!(concat!("../../tests/fixtures/", $name, "_collateral.json")),
        }
    };
}

const TDX: Sample = sample!("tdx_quote");
const TDX15: Sample = sample!("tdx_quote_td15ex");
const OUTDATED: Sample = sample!("tdx_quote_outdated");
const SGX: Sample = sample!("sgx_quote");

impl Sample {
    fn collateral(&self) -> QuoteCollateralV3 {
        serde_json::from_str(self.collateral).unwrap()
    }

    /// An hour after Intel issued the collateral.
    fn time(&self) -> Timestamp {
        let info: serde_json::Value = serde_json::from_str(&self.collateral().tcb_info).unwrap();
        let issued: Timestamp = info["issueDate"].as_str().unwrap().parse().unwrap();
        Timestamp::from_unix(issued.as_unix() + 3600)
    }

    fn verify(&self) -> Result<TdQuote, Refused> {
        TdQuote::verify(self.quote, &self.collateral(), &context(self.time()))
    }

    fn entry(&self) -> AcceptTdx {
        let TdQuote { report, status, .. } = self.verify().unwrap();
        let registers = [report.rt_mr0, report.rt_mr1, report.rt_mr2, report.rt_mr3];
        AcceptTdx {
            release: "0.4.0".parse().unwrap(),
            mr_td: BTreeSet::from([report.mr_td]),
            rtmr: (0..).zip(registers.map(|value| BTreeSet::from([value]))).collect(),
            tcb_status: BTreeSet::from([serde_json::from_value(status.into()).unwrap()]),
            debug: false,
        }
    }
}

#[test]
fn genuine_quotes_are_verified_up_to_intels_root() {
    for sample in [TDX, TDX15] {
        let checks = sample.verify().unwrap().judge(&sample.entry());

        assert_eq!(failed_checks(&checks), []);
    }
}

#[test]
fn a_quote_of_sgx_is_genuine_but_not_of_tdx() {
    let refused = SGX.verify().unwrap_err();

    assert_eq!(refused.0, CheckName::Form);
}

#[test]
fn collateral_that_has_expired_is_refused() {
    let today = Timestamp::from_unix(1_795_000_000);

    for sample in [TDX, TDX15, SGX] {
        assert!(TdQuote::verify(sample.quote, &sample.collateral(), &context(today)).is_err());
    }
}

#[test]
fn a_platform_without_its_updates_is_refused() {
    let (check, reason) = OUTDATED.verify().unwrap_err();

    assert_eq!(check, CheckName::Tcb, "{reason}");
}

#[test]
fn a_flipped_bit_is_refused() {
    for at in [48, 200, 0x238, 0x27A, 700] {
        let mut changed = TDX.quote.to_vec();
        changed[at] ^= 1;

        assert!(TdQuote::verify(&changed, &TDX.collateral(), &context(TDX.time())).is_err(), "{at}");
    }
}

#[test]
fn collateral_of_another_platform_and_changed_collateral_are_refused() {
    let mut changed = TDX.collateral();
    changed.tcb_info = changed.tcb_info.replace("UpToDate", "UpToDatE");
    let mut without_list = TDX.collateral();
    without_list.pck_crl.clear();

    for collateral in [changed, without_list, SGX.collateral()] {
        assert!(TdQuote::verify(TDX.quote, &collateral, &context(TDX.time())).is_err());
    }
}

#[test]
fn another_measurement_another_register_and_another_status_are_refused() {
    let quote = TDX.verify().unwrap();
    let mut registers = TDX.entry();
    registers.rtmr.insert(2, BTreeSet::from([[1; 48]]));
    let measurement = AcceptTdx { mr_td: BTreeSet::from([[1; 48]]), ..TDX.entry() };
    let status = AcceptTdx { tcb_status: BTreeSet::from([TcbStatus::OutOfDate]), ..TDX.entry() };

    assert_eq!(failed_checks(&quote.judge(&measurement)), [CheckName::Measurement]);
    assert_eq!(failed_checks(&quote.judge(&registers)), [CheckName::Pcrs]);
    assert_eq!(failed_checks(&quote.judge(&status)), [CheckName::Tcb]);
}

#[test]
fn a_guest_that_can_be_debugged_is_refused_unless_the_policy_allows_it() {
    let mut quote = TDX.verify().unwrap();
    quote.report.td_attributes[0] |= 1;
    let allowed = AcceptTdx { debug: true, ..TDX.entry() };

    assert_eq!(failed_checks(&quote.judge(&TDX.entry())), [CheckName::Debug]);
    assert_eq!(failed_checks(&quote.judge(&allowed)), []);
}

#[test]
fn a_genuine_quote_that_binds_something_else_is_refused_for_that_alone() {
    let report = TDX.verify().unwrap().report;
    let policy = Policy::parse(&format!(
        "version = 1\nmin_release = \"0.4.0\"\n[[accept]]\nbackend = \"tdx\"\nrelease = \"0.4.0\"\n\
         mr_td = [\"{}\"]\nrtmr = {{ 1 = [\"{}\"] }}",
        hex::encode(report.mr_td),
        hex::encode(report.rt_mr1)
    ))
    .unwrap();
    let raw = RawEvidence { report: Some(b64(TDX.quote)), ..RawEvidence::default() };
    let endorsed = Endorsements { collateral: Some(TDX.collateral.to_owned()), ..Endorsements::default() };
    let genuine = evidence_by(Backend::Tdx, raw.clone(), endorsed);
    let without_collateral = evidence_by(Backend::Tdx, raw, Endorsements::default());

    let bound = judge(&policy, &genuine, &Pinned::default(), TDX.time());
    let unendorsed = judge(&policy, &without_collateral, &Pinned::default(), TDX.time());

    assert_eq!(failures(&bound), [CheckName::ReportData]);
    assert_eq!(failures(&unendorsed), [CheckName::Revocation, CheckName::Release]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), at in 0..TDX.quote.len(), byte in any::<u8>(), end in 0..TDX.quote.len()) {
        let mut changed = TDX.quote.to_vec();
        changed[at] = byte;
        for quote in [&bytes[..], &changed, &TDX.quote[..end]] {
            let _ = TdQuote::verify(quote, &TDX.collateral(), &context(TDX.time()));
        }
    }
}
