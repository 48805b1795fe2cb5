//! What a TPM says about its machine and itself.

use agentkeys_testing::Swtpm;
use agentkeys_tpm::{
    AttestationKey, EndorsementKey, KeyParameters, Name, PcrSelection, PcrValues, Quote, SignatureInvalid, Tpm,
    TpmError, extend,
};
use aws_lc_rs::{encoding::AsDer, rsa::PublicEncryptingKey, signature::RsaPublicKeyComponents};

use super::{SECRET, open, sealed_registers};

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn a_quote_says_what_the_registers_hold_and_is_by_the_attestation_key() {
    let swtpm = Swtpm::start();
    let mut tpm = open(&swtpm);
    tpm.extend_pcr(4, &[7; 32]).unwrap();

    let quoted = tpm.quote(&[9; 32], sealed_registers()).unwrap();
    let key = AttestationKey::parse(&tpm.attestation_key().unwrap().to_bytes()).unwrap();
    let quote = Quote::parse(&quoted.attest).unwrap();

    assert_eq!(quoted.pcrs[&4], extend(&[0; 32], &[7; 32]));
    assert_eq!((quote.extra_data, quote.selection), (vec![9; 32], sealed_registers()));
    assert_eq!(key.verify(&quoted.attest, &quoted.signature), Ok(()));
    for at in 0..quoted.attest.len() {
        let mut flipped = quoted.attest.clone();
        flipped[at] ^= 1;
        assert_eq!(key.verify(&flipped, &quoted.signature), Err(SignatureInvalid), "byte {at}");
    }
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn all_registers_can_be_read_and_quoted_at_once() {
    let swtpm = Swtpm::start();
    let mut tpm = open(&swtpm);
    let all = PcrSelection::of(0..24).unwrap();

    let quoted = tpm.quote(&[], all).unwrap();

    let expected: PcrValues = tpm.pcrs(all).unwrap();
    assert_eq!(quoted.pcrs, expected);
    assert_eq!(quoted.pcrs.len(), 24);
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn the_attestation_key_stays_the_same_and_is_not_that_of_another_tpm() {
    let mut swtpm = Swtpm::start();
    let first = open(&swtpm).attestation_key().unwrap();

    swtpm.power_cycle();
    let again = open(&swtpm).attestation_key().unwrap();
    let another = open(&swtpm.other()).attestation_key().unwrap();

    assert_eq!(first.name(), again.name());
    assert_ne!(first.name(), another.name());
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn only_the_certified_tpm_reads_a_credential_and_only_for_its_attestation_key() {
    let swtpm = Swtpm::certified();
    let other = swtpm.other();
    let mut tpm = open(&swtpm);
    let certificate = tpm.ek_certificate().unwrap().expect("it is certified");
    let spki = endorsement_spki(&mut tpm);
    let key = EndorsementKey::from_spki(&spki).unwrap();
    let name = tpm.attestation_key().unwrap().name();

    let credential = key.make_credential(SECRET, &name).unwrap();
    let for_another = key.make_credential(SECRET, &Name::of(b"another key")).unwrap();

    assert!(certificate.windows(spki.len()).any(|part| part == spki), "the certificate is of this key");
    assert_eq!(*tpm.activate(&credential).unwrap(), SECRET);
    let refused = tpm.activate(&for_another);
    assert!(matches!(refused, Err(TpmError::Refused { .. })), "{refused:?}");
    let refused = open(&other).activate(&credential);
    assert!(matches!(refused, Err(TpmError::Refused { .. })), "{refused:?}");
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn a_tpm_without_a_kept_endorsement_key_makes_it_anew() {
    let swtpm = Swtpm::start();
    let mut tpm = open(&swtpm);
    let key = EndorsementKey::from_spki(&endorsement_spki(&mut tpm)).unwrap();
    let name = tpm.attestation_key().unwrap().name();

    let credential = key.make_credential(b"short", &name).unwrap();

    assert_eq!(tpm.ek_certificate().unwrap(), None);
    assert_eq!(*tpm.activate(&credential).unwrap(), b"short");
}

/// The endorsement key, as its certificate has it.
fn endorsement_spki(tpm: &mut Tpm) -> Vec<u8> {
    let KeyParameters::Rsa { modulus, .. } = tpm.endorsement_key().unwrap().parameters else { panic!("not of RSA") };
    let key: PublicEncryptingKey = RsaPublicKeyComponents { n: modulus, e: vec![1, 0, 1] }.try_into().unwrap();
    key.as_der().unwrap().as_ref().to_vec()
}
