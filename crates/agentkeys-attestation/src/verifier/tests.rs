//! A worker on a TPM, judged whole.

mod restoring;

use agentkeys_api::attestation::{ActivatedCredential, AttestationEvidence, SigningPurpose};
use agentkeys_tlog::{Checkpoint, Hash, SignerKey};
use agentkeys_types::Timestamp;
use proptest::prelude::*;

use crate::{
    CheckName, Pinned, Policy, Verdict,
    testing::{CHANNEL, NONCE, NOW, ORIGIN, Vendor, Worker, b64, failures, judge},
};

/// What is remembered once the worker was accepted.
fn remembered(worker: &Worker) -> Pinned {
    Pinned {
        ak_name: worker.verdict(&Pinned::default()).ak_name().map(Vec::from),
        ek_sha256: worker.verdict(&Pinned::default()).ek_sha256(),
        identity_pub: Some(worker.identity),
        policy_version: Some(7),
        checkpoint: Some(worker.checkpoint().1),
    }
}

#[test]
fn a_restored_worker_that_goes_on_with_its_log_may_have_another_machines_counter() {
    let worker = Worker::new();
    let key = SignerKey::from_seed(ORIGIN, &worker.log_seed).unwrap();
    let last = Checkpoint::new(ORIGIN, worker.log_size - 1, Hash::from_bytes([1; 32]), Some(9000)).sign(&key).unwrap();

    let verdict = worker.verdict(&Pinned { checkpoint: Some(last), ..Pinned::default() });

    assert!(!failures(&verdict).contains(&CheckName::Log));
}

fn activate(verdict: &mut Verdict) {
    let challenge = verdict.activation().unwrap().challenge().unwrap();
    let reply = ActivatedCredential { secret: b64(challenge.secret()) };
    verdict.activated(&challenge, &reply);
}

#[test]
fn a_worker_is_accepted_once_its_tpm_has_shown_that_it_holds_the_attestation_key() {
    let worker = Worker::new();
    let mut verdict = worker.verdict(&Pinned::default());

    assert_eq!(failures(&verdict), []);
    assert!(!verdict.accepted(), "nothing shows yet that the key is in the endorsed TPM");

    activate(&mut verdict);

    assert!(verdict.accepted(), "{:?}", verdict.failed());
    assert_eq!(verdict.release().unwrap().to_string(), "0.4.0");
}

#[test]
fn a_wrong_secret_and_the_answer_to_another_challenge_activate_nothing() {
    let worker = Worker::new();
    let other = Worker::new();
    let wrong = ActivatedCredential { secret: b64([0; 32]) };
    let foreign = other.verdict(&Pinned::default()).activation().unwrap().challenge().unwrap();
    let right_for_foreign = ActivatedCredential { secret: b64(foreign.secret()) };

    let mut guessed = worker.verdict(&Pinned::default());
    let challenge = guessed.activation().unwrap().challenge().unwrap();
    guessed.activated(&challenge, &wrong);
    let mut borrowed = worker.verdict(&Pinned::default());
    borrowed.activated(&foreign, &right_for_foreign);

    for verdict in [guessed, borrowed] {
        assert_eq!(failures(&verdict), [CheckName::Activation]);
        assert!(verdict.activation().is_none());
    }
}

#[test]
fn a_key_that_is_remembered_is_not_activated_again_under_the_same_policy() {
    let worker = Worker::new();
    let pinned = remembered(&worker);

    assert!(worker.verdict(&pinned).accepted());

    let under_an_older_policy = Pinned { policy_version: Some(6), ..pinned };
    assert!(worker.verdict(&under_an_older_policy).activation().is_some());
}

#[test]
fn a_key_that_was_activated_with_another_endorsement_key_is_activated_again() {
    let mut worker = Worker::new();
    let with_the_first = remembered(&worker);
    worker.ek_cert = worker.vendor.endorse(|_| {});

    let mut verdict = worker.verdict(&with_the_first);

    assert_eq!(failures(&verdict), []);
    assert!(!verdict.accepted());
    activate(&mut verdict);
    assert!(verdict.accepted());
    let with_the_second = Pinned { ek_sha256: verdict.ek_sha256(), ..with_the_first };
    assert!(worker.verdict(&with_the_second).accepted());
}

#[test]
fn a_key_that_the_policy_named_is_not_activated_for_another_anchor() {
    let worker = Worker::new();
    let by_hash = format!("anchor = {{ ek_ca_sha256 = [\"{}\"] }}", worker.vendor.sha256());
    let ak_name = hex::encode(worker.verdict(&Pinned::default()).ak_name().unwrap());
    let naming = worker.policy_text().replace(&by_hash, &format!("anchor = {{ ak_name = [\"{ak_name}\"] }}"));
    let named = judge(&Policy::parse(&naming).unwrap(), &worker.evidence(), &Pinned::default(), NOW);

    let pinned = Pinned { ek_sha256: named.ek_sha256(), ..remembered(&worker) };

    assert!(named.accepted());
    assert!(worker.verdict(&pinned).activation().is_some(), "of the same version, with another anchor");
}

/// A way in which evidence is not as it must be, and the checks that fail for it.
type Case = (&'static str, fn(&mut Worker, &mut Pinned), fn(&Worker, &mut AttestationEvidence), &'static [CheckName]);

fn nothing(_: &mut Worker, _: &mut Pinned) {}

fn as_it_is(_: &Worker, _: &mut AttestationEvidence) {}

#[test]
fn each_deviation_fails_its_own_check() {
    use CheckName::{
        AttestationKey, CommandLine, EndorsementChain, Exporter, Form, Identity, Log, Nonce, Pcrs, PolicyVersion,
        Purpose, ReportData, Signature, TlsKey,
    };
    let cases: &[Case] = &[
        ("another version", nothing, |_, e| e.v = 2, &[Form]),
        ("a simulator", nothing, |_, e| e.swname = "agentkeys-signer".into(), &[Form]),
        ("debugged by its own word", nothing, |_, e| e.dbgstat = "enabled".into(), &[Form]),
        ("an old nonce", nothing, |w, e| *e = w.evidence_on(&[8; 32], &CHANNEL), &[Nonce, Exporter, ReportData]),
        (
            "a relay with a TLS key of its own",
            nothing,
            |w, e| *e = w.evidence_on(&NONCE, &crate::Channel { spki_sha256: [8; 32], ..CHANNEL }),
            &[TlsKey, Exporter, ReportData],
        ),
        (
            "a relay with a stolen TLS key",
            nothing,
            |w, e| *e = w.evidence_on(&NONCE, &crate::Channel { exporter: [8; 32], ..CHANNEL }),
            &[Exporter, ReportData],
        ),
        ("another exporter label", nothing, |_, e| e.bound.exporter_label.push('x'), &[Exporter]),
        ("another boot counter", nothing, |_, e| e.bound.boot_counter = 9, &[Exporter, ReportData]),
        ("a flipped bit of the quote", nothing, |_, e| flip(&mut e.evidence.attest, 60), &[Signature, ReportData]),
        ("a flipped bit of the signature", nothing, |_, e| flip(&mut e.evidence.signature, 40), &[Signature]),
        (
            "another value than was quoted",
            nothing,
            |_, e| drop(e.evidence.pcrs.insert(4, hex::encode([5; 32]))),
            &[Pcrs, CommandLine],
        ),
        (
            "a register that was not quoted",
            nothing,
            |_, e| drop(e.evidence.pcrs.insert(5, hex::encode([5; 32]))),
            &[Pcrs, CommandLine],
        ),
        ("a key that signs anything", |w, _| w.ak_attributes &= !(1 << 16), as_it_is, &[AttestationKey]),
        ("a key made outside", |w, _| w.ak_attributes &= !(1 << 5), as_it_is, &[AttestationKey]),
        ("another key than is remembered", |_, p| p.ak_name = Some(vec![0; 34]), as_it_is, &[AttestationKey]),
        ("another maker", nothing, |_, e| e.endorsements.chain = vec![b64(Vendor::new().der)], &[EndorsementChain]),
        ("no certificate", nothing, |_, e| e.endorsements.ek_cert = None, &[EndorsementChain]),
        ("no chain", nothing, |_, e| e.endorsements.chain.clear(), &[EndorsementChain]),
        (
            "a certificate for another purpose",
            |w, _| w.ek_cert = w.vendor.endorse(|p| p.extended_key_usages.clear()),
            as_it_is,
            &[EndorsementChain],
        ),
        ("another master secret than is remembered", |_, p| p.identity_pub = Some([2; 33]), as_it_is, &[Identity]),
        ("an older policy", |_, p| p.policy_version = Some(8), as_it_is, &[PolicyVersion]),
        (
            "a shorter log",
            |w, p| {
                p.checkpoint = Some(w.checkpoint().1);
                w.log_size = 4;
            },
            as_it_is,
            &[Log],
        ),
        (
            "another log",
            |w, p| {
                p.checkpoint = Some(w.checkpoint().1);
                w.log_seed = [1; 32];
            },
            as_it_is,
            &[Log],
        ),
        ("any message", |w, _| w.purpose = SigningPurpose::AnyMessage, as_it_is, &[Purpose]),
    ];

    for (what, prepare, change, expected) in cases {
        let mut worker = Worker::new();
        let mut pinned = Pinned::default();
        prepare(&mut worker, &mut pinned);
        let mut evidence = worker.evidence();
        change(&worker, &mut evidence);

        let verdict = judge(&worker.policy(), &evidence, &pinned, NOW);

        let failed: Vec<_> = failures(&verdict).into_iter().filter(|name| *name != CheckName::Release).collect();
        assert_eq!(failed, *expected, "{what}");
        assert!(!verdict.accepted() && verdict.activation().is_none(), "{what}");
    }
}

fn flip(field: &mut Option<String>, at: usize) {
    let mut bytes = crate::wire::base64("field", field.as_deref()).unwrap();
    bytes[at] ^= 1;
    *field = Some(b64(bytes));
}

#[test]
fn another_image_and_another_command_line_are_told_apart() {
    let mut worker = Worker::new();
    let policy = worker.policy();

    worker.pcrs.insert(11, [1; 32]);
    let another_image = judge(&policy, &worker.evidence(), &Pinned::default(), NOW);
    worker.pcrs.insert(11, [11; 32]);
    worker.pcrs.insert(12, [1; 32]);
    let another_command_line = judge(&policy, &worker.evidence(), &Pinned::default(), NOW);

    assert_eq!(failures(&another_image), [CheckName::Pcrs]);
    assert_eq!(failures(&another_command_line), [CheckName::CommandLine]);
}

#[test]
fn certificates_count_only_in_their_time() {
    let worker = Worker::new();
    let (before, after) = (Timestamp::from_unix(1_700_000_000), Timestamp::from_unix(1_893_456_000));

    for now in [before, after] {
        let verdict = judge(&worker.policy(), &worker.evidence(), &Pinned::default(), now);

        assert_eq!(failures(&verdict), [CheckName::EndorsementChain]);
    }
}

#[test]
fn a_revoked_certificate_is_refused() {
    let worker = Worker::new();
    let mut policy = worker.policy();
    policy.revoked.insert(crate::certificate::Certificate::parse(&worker.ek_cert).unwrap().sha256());

    let verdict = judge(&policy, &worker.evidence(), &Pinned::default(), NOW);

    assert_eq!(failures(&verdict), [CheckName::Revocation]);
}

#[test]
fn an_old_release_is_refused_and_a_worker_that_denies_its_release_too() {
    let worker = Worker::new();
    let mut raised = worker.policy();
    raised.min_release = "0.5.0".parse().unwrap();
    let mut denying = worker.evidence();
    denying.swversion = "0.9.0".to_owned();

    let old = judge(&raised, &worker.evidence(), &Pinned::default(), NOW);
    let denied = judge(&worker.policy(), &denying, &Pinned::default(), NOW);

    assert_eq!(failures(&old), [CheckName::Release]);
    assert_eq!(failures(&denied), [CheckName::Release]);
}

#[test]
fn a_policy_without_an_entry_for_what_vouches_refuses() {
    let worker = Worker::new();
    let policy = Policy::parse("version = 7\nmin_release = \"0.1.0\"\nallow_dev = true").unwrap();

    let verdict = judge(&policy, &worker.evidence(), &Pinned::default(), NOW);

    assert_eq!(failures(&verdict), [CheckName::Backend, CheckName::Release]);
}

#[test]
fn each_kind_of_anchor_vouches_for_its_own_tpm_and_no_other() {
    let worker = Worker::new();
    let stranger = Worker::new();
    let ek = crate::certificate::Certificate::parse(&worker.ek_cert).unwrap();
    let ak_name = hex::encode(worker.verdict(&Pinned::default()).ak_name().unwrap());
    let anchors = [
        format!("ek_ca = '''\n{}'''", worker.vendor.pem()),
        format!("ek_pub_sha256 = [\"{}\"]", hex::encode(ek.key_sha256().unwrap())),
        format!("ak_name = [\"{ak_name}\"]"),
    ];

    for anchor in anchors {
        let by_hash = format!("ek_ca_sha256 = [\"{}\"]", worker.vendor.sha256());
        let policy =
            worker.policy_text().replace(&format!("anchor = {{ {by_hash} }}"), &format!("[accept.anchor]\n{anchor}"));
        let policy = Policy::parse(&policy).unwrap();

        let own = judge(&policy, &worker.evidence(), &Pinned::default(), NOW);
        let other = judge(&policy, &stranger.evidence(), &Pinned::default(), NOW);

        assert_eq!(failures(&own), [], "{anchor}");
        assert_eq!(failures(&other), [CheckName::EndorsementChain], "{anchor}");
        assert_eq!(own.accepted(), anchor.starts_with("ak_name"), "{anchor}");
    }
}

#[test]
fn of_several_entries_the_one_that_fits_counts() {
    let worker = Worker::new();
    let mut policy = worker.policy();
    let fitting = policy.accept[0].clone();
    let mut other = Worker::new();
    other.pcrs.insert(4, [9; 32]);
    policy.accept = vec![other.policy().accept.remove(0), fitting];

    let verdict = judge(&policy, &worker.evidence(), &Pinned::default(), NOW);

    assert_eq!(failures(&verdict), []);
}

proptest! {
    #[test]
    fn no_text_in_any_field_makes_it_panic(text in "[A-Za-z0-9+/=]{0,200}|\\PC{0,40}", backend in 0..5_usize) {
        use agentkeys_api::attestation::Backend::{AzureVtpm, Nitro, SevSnp, Tdx, Tpm2};
        thread_local!(static WORKER: (Policy, AttestationEvidence) = {
            let worker = Worker::new();
            (worker.policy(), worker.evidence())
        });
        WORKER.with(|(policy, genuine)| {
            let mut evidence = genuine.clone();
            evidence.backend = [Tpm2, AzureVtpm, SevSnp, Tdx, Nitro][backend];
            evidence.evidence.report = Some(text.clone());
            evidence.endorsements.collateral = Some(text.clone());
            evidence.endorsements.hcl_report = Some(text.clone());
            evidence.endorsements.chain = vec![text.clone()];
            let first = judge(policy, &evidence, &Pinned::default(), NOW);
            evidence.endorsements.ak_pub = Some(text.clone());
            evidence.bound.log_vkey = text.clone();
            evidence.bound.log_checkpoint = text.clone();
            evidence.evidence.attest = Some(text.clone());
            let second = judge(policy, &evidence, &Pinned::default(), NOW);
            prop_assert!(!first.accepted() && !second.accepted());
            Ok(())
        })?;
    }
}
