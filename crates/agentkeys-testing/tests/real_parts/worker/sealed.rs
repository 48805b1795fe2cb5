//! The same machine has the same master secret, and vouches for it.

use std::{fs, os::unix::fs::PermissionsExt};

use agentkeys_api::attestation::{AttestationEvidence, Backend, SigningPurpose};
use agentkeys_tpm::{AttestationKey, CAPPED_PCR, PcrValues, Pcrs, Quote, SEALED_PCRS, Signature, capped};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::machine::{Machine, Worker};

fn decode(text: Option<&String>) -> Vec<u8> {
    BASE64_STANDARD.decode(text.unwrap()).unwrap()
}

/// The quote, after its signature and its registers have been looked at.
fn quote_in(evidence: &AttestationEvidence) -> Quote {
    let attest = decode(evidence.evidence.attest.as_ref());
    let key = AttestationKey::parse(&decode(evidence.endorsements.ak_pub.as_ref())).unwrap();
    let signature = Signature::parse(&decode(evidence.evidence.signature.as_ref())).unwrap();
    key.verify(&attest, &signature).unwrap();
    let quote = Quote::parse(&attest).unwrap();
    let registers: PcrValues = evidence
        .evidence
        .pcrs
        .iter()
        .map(|(register, value)| (*register, hex::decode(value).unwrap().try_into().unwrap()))
        .collect();
    assert_eq!(quote.pcr_digest, registers.digest());
    assert!(quote.selection.registers().eq(SEALED_PCRS));
    assert_eq!(registers[&CAPPED_PCR], capped(&[0; 32]));
    quote
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_worker_has_one_identity_over_power_cycles_and_the_tpm_vouches_for_it() {
    let mut machine = Machine::new();
    let first = machine.boot(0).await;
    let evidence = first.evidence(&[7; 32]).await;
    let identity = first.identity.clone();
    first.stop().await;
    machine.power_cycle();

    let second = machine.boot(0).await;
    let later = second.evidence(&[8; 32]).await;

    for evidence in [&evidence, &later] {
        assert_eq!(hex::encode(quote_in(evidence).extra_data), evidence.report_data);
        assert_eq!((evidence.backend, evidence.bound.purpose), (Backend::Tpm2, SigningPurpose::WalletProof));
        assert_eq!(evidence.bound.identity_pub, identity);
    }
    assert_eq!(second.identity, identity);
    assert_eq!(evidence.eat_nonce, hex::encode([7; 32]));
    assert_eq!(evidence.bound.log_vkey, later.bound.log_vkey);
    assert!(later.bound.boot_counter > evidence.bound.boot_counter);
    assert_eq!(evidence.endorsements.ak_pub, later.endorsements.ak_pub);
    assert!(evidence.endorsements.ek_cert.is_some());
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn what_is_on_disk_is_private_and_the_process_is_confined() {
    let machine = Machine::new();

    let worker = machine.boot(0).await;

    assert_eq!(fs::metadata(machine.blob()).unwrap().permissions().mode() & 0o777, 0o600);
    let status = fs::read_to_string(format!("/proc/{}/status", worker.process.id())).unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!((line("Seccomp:"), line("NoNewPrivs:")), ("2".to_owned(), "1".to_owned()));
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn two_machines_have_two_identities() {
    let (one, other) = (Machine::new(), Machine::new());

    assert_ne!(one.boot(0).await.identity, other.boot(0).await.identity);
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn any_message_is_signed_only_where_the_evidence_says_so() {
    let machine = Machine::new();
    let approval = machine.release_key.approve(0);

    let worker = Worker::of(machine.start_with(&approval, "allow_any_message = true")).await;

    assert_eq!(worker.evidence(&[7; 32]).await.bound.purpose, SigningPurpose::AnyMessage);
}
