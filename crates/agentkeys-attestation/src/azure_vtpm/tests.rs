//! What a vTPM of Azure quoted, and what its hardware reported.

use agentkeys_api::attestation::{Backend, Endorsements, RawEvidence};
use agentkeys_tpm::Signature;
use proptest::prelude::*;

use super::*;
use crate::{
    Pinned, Policy,
    sev_snp::ChipKey,
    testing::{NOW, b64, context, evidence_by, failed_checks, failures, judge},
};

const SNP: &[u8] = include_bytes!("../../tests/fixtures/hcl-report-snp.bin");
const TDX: &[u8] = include_bytes!("../../tests/fixtures/hcl-report-tdx.bin");
const QUOTE: &[u8] = include_bytes!("../../tests/fixtures/quote.bin");
const QUOTE_KEY: &str = include_str!("../../tests/fixtures/akpub.pem");
const CERTIFICATES: &str = include_str!("../../tests/fixtures/certs.pem");

/// The quote: each part behind its length, then the registers.
fn quote() -> RawEvidence {
    let mut rest = QUOTE;
    let number = |rest: &mut &[u8]| {
        let (length, tail) = rest.split_at(8);
        *rest = tail;
        usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap()
    };
    let part = |rest: &mut &'static [u8]| {
        let (part, tail) = {
            let length = number(rest);
            rest.split_at(length)
        };
        *rest = tail;
        part
    };
    let (signature, attest) = (part(&mut rest), part(&mut rest));
    RawEvidence {
        attest: Some(b64(attest)),
        signature: Some(b64(Signature::Rsassa(signature.to_vec()).to_bytes())),
        pcrs: (0..).zip(rest[8..].chunks(32).map(hex::encode)).collect(),
        ..RawEvidence::default()
    }
}

/// The key that signed it, from its `SubjectPublicKeyInfo`: the modulus is 257 bytes of it, the first a zero.
fn quote_key() -> VerifyingKey {
    let spki = pem::parse(QUOTE_KEY).unwrap();
    let end = spki.contents().len() - 5;
    VerifyingKey::Rsa { modulus: spki.contents()[end - 256..end].to_vec() }
}

fn chip_certificate() -> Vec<u8> {
    pem::parse_many(CERTIFICATES).unwrap()[0].contents().to_vec()
}

#[test]
fn a_genuine_quote_is_verified_and_its_registers_are_the_quoted_ones() {
    let quote = SignedQuote::read(&quote()).unwrap();

    assert!(quote.is_signed(&quote_key()));
    assert_eq!(quote.registers().unwrap().len(), 24);
}

#[test]
fn a_quote_with_a_flipped_bit_or_another_register_is_refused() {
    let mut other_register = quote();
    other_register.pcrs.insert(4, hex::encode([1; 32]));
    let mut flipped = quote();
    let mut attest = wire::base64("attest", flipped.attest.as_deref()).unwrap();
    attest[50] ^= 1;
    flipped.attest = Some(b64(attest));

    assert!(SignedQuote::read(&other_register).unwrap().registers().is_err());
    assert!(!SignedQuote::read(&flipped).unwrap().is_signed(&quote_key()));
}

#[test]
fn the_hardware_binds_the_attestation_key() {
    let (snp, tdx) = (HclReport::parse(SNP).unwrap(), HclReport::parse(TDX).unwrap());

    assert!(snp.is_bound_by(&snp.snp_report().unwrap().report_data()));
    assert!(tdx.is_bound_by(&tdx.td_report_data().unwrap()));
    assert!(!snp.is_bound_by(&tdx.td_report_data().unwrap()));
}

#[test]
fn a_replaced_attestation_key_is_no_longer_bound() {
    let mut replaced = SNP.to_vec();
    let modulus = replaced.windows(5).position(|window| window == b"\"n\":\"").unwrap() + 9;
    replaced[modulus] = if replaced[modulus] == b'A' { b'B' } else { b'A' };

    let report = HclReport::parse(&replaced).unwrap();

    assert!(!report.is_bound_by(&report.snp_report().unwrap().report_data()));
}

/// The package's certificates are of another chip than the one that made its report.
#[test]
fn a_chip_of_azure_is_amds_and_vouches_for_its_own_reports_alone() {
    let report = HclReport::parse(SNP).unwrap().snp_report().unwrap();
    let key = ChipKey::read(&chip_certificate()).unwrap();

    assert_eq!(failed_checks(&key.chain(&context(NOW))), []);
    assert!(!report.is_signed(key.certificate()));
}

#[test]
fn a_report_of_another_chip_a_quote_by_another_key_and_other_hardware_are_refused() {
    let report = HclReport::parse(SNP).unwrap().snp_report().unwrap();
    let registers = SignedQuote::read(&quote()).unwrap();
    let registers = registers.registers().unwrap();
    let pcr = |number: u8| format!("{number} = [\"{}\"]", hex::encode(registers[&number]));
    let policy = Policy::parse(&format!(
        "version = 1\nmin_release = \"0.4.0\"\nrevoked = []\n[[accept]]\nbackend = \"azure-vtpm\"\nrelease = \"0.4.0\"\nbank = \"sha256\"\n\
         pcr = {{ {}, {}, {} }}\n[accept.sev_snp]\nmeasurement = [\"{}\"]\n\
         min_tcb = {{ bootloader = 0, tee = 0, snp = 0, microcode = 0 }}",
        pcr(4),
        pcr(11),
        pcr(12),
        hex::encode(report.measurement())
    ))
    .unwrap();
    let endorsed = |hcl: &[u8]| Endorsements {
        hcl_report: Some(b64(hcl)),
        chain: vec![b64(chip_certificate())],
        ..Endorsements::default()
    };

    let by_another_key =
        judge(&policy, &evidence_by(Backend::AzureVtpm, quote(), endorsed(SNP)), &Pinned::default(), NOW);
    let other_hardware =
        judge(&policy, &evidence_by(Backend::AzureVtpm, quote(), endorsed(TDX)), &Pinned::default(), NOW);

    let hardware_then_quote = [CheckName::Signature, CheckName::Tcb, CheckName::Signature, CheckName::ReportData];
    assert_eq!(failures(&by_another_key), hardware_then_quote);
    assert!(failures(&other_hardware).contains(&CheckName::Measurement));
    assert!(failures(&other_hardware).contains(&CheckName::AttestationKey));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), at in 0..SNP.len(), byte in any::<u8>(), end in 0..SNP.len()) {
        let mut changed = SNP.to_vec();
        changed[at] = byte;
        for report in [&bytes[..], &changed, &SNP[..end]] {
            let _ = HclReport::parse(report).map(|report| report.snp_report().is_some());
        }
    }
}
