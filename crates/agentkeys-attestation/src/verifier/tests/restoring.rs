//! A worker that waits for the shares of a backup, judged whole.

use agentkeys_api::attestation::{AttestationEvidence, SigningPurpose};
use agentkeys_tpm::capped;

use super::{activate, flip};
use crate::{
    Channel, CheckName, Pinned, Policy, Stage, Verdict,
    testing::{CHANNEL, NONCE, NOW, Vendor, Worker, b64, failures, judge, judge_in},
};

/// The identity of the shares.
const SHARED: [u8; 33] = [2; 33];
const STAGE: Stage = Stage::Restoring { identity_pub: SHARED };
/// What register 11 holds until a worker has its master secret.
const MEASURED: [u8; 32] = [11; 32];

/// A worker that waits, and the policy that accepts it: the same one as when it signs.
fn waiting() -> (Worker, Policy) {
    let (mut worker, policy) = signing();
    worker.pcrs.insert(11, MEASURED);
    worker.identity[0] = 0;
    worker.log_size = 0;
    (worker, policy)
}

fn signing() -> (Worker, Policy) {
    let mut worker = Worker::new();
    worker.pcrs.insert(11, capped(&MEASURED));
    let policy = worker.policy();
    (worker, policy)
}

fn verdict(worker: &Worker, policy: &Policy) -> Verdict {
    judge_in(STAGE, policy, &worker.evidence(), &Pinned::default(), NOW)
}

#[test]
fn a_worker_that_waits_for_shares_is_accepted_once_its_attestation_key_is_activated() {
    let (worker, policy) = waiting();
    let mut verdict = verdict(&worker, &policy);

    assert_eq!(failures(&verdict), []);
    assert!(!verdict.accepted());

    activate(&mut verdict);

    assert!(verdict.accepted(), "{:?}", verdict.failed());
    assert_eq!(worker.evidence().bound.restoring_key(), Some([7; 32]));
}

#[test]
fn a_worker_in_another_stage_than_the_expected_one_is_refused() {
    let ((waits, policy), (signs, its_policy)) = (waiting(), signing());

    let waits = judge(&policy, &waits.evidence(), &Pinned::default(), NOW);
    let signs = verdict(&signs, &its_policy);

    for verdict in [waits, signs] {
        assert_eq!(failures(&verdict), [CheckName::Pcrs, CheckName::Identity, CheckName::Log]);
        assert!(verdict.activation().is_none());
    }
}

#[test]
fn a_worker_that_has_a_log_does_not_wait_and_one_that_has_closed_its_secret_away_neither() {
    let (mut with_a_log, policy) = waiting();
    with_a_log.log_size = 5;
    let with_a_log = verdict(&with_a_log, &policy);
    let (mut closed, policy) = waiting();
    closed.pcrs.insert(11, capped(&MEASURED));
    let closed = verdict(&closed, &policy);

    assert_eq!(failures(&with_a_log), [CheckName::Log]);
    assert_eq!(failures(&closed), [CheckName::Pcrs]);
}

#[test]
fn shares_of_another_identity_than_the_policy_names_are_for_none_of_its_workers() {
    let (worker, mut policy) = waiting();

    policy.identity_pub = Some(SHARED);
    let named = verdict(&worker, &policy);
    policy.identity_pub = Some([3; 33]);
    let other = verdict(&worker, &policy);

    assert_eq!(failures(&named), []);
    assert_eq!(failures(&other), [CheckName::Identity]);
}

fn measure_otherwise(worker: &mut Worker, register: u8) {
    worker.pcrs.insert(register, [1; 32]);
}

/// A way in which evidence is not as it must be, and the checks that fail for it.
type Case = (&'static str, fn(&mut Worker), fn(&Worker, &mut AttestationEvidence), &'static [CheckName]);

#[test]
fn whatever_else_is_wrong_is_refused_as_of_any_worker() {
    use CheckName::{
        AttestationKey, CommandLine, EndorsementChain, Exporter, Form, Nonce, Pcrs, Purpose, ReportData, Signature,
        TlsKey,
    };
    let cases: &[Case] = &[
        ("a simulator", |_| {}, |_, e| e.swname = "agentkeys-signer".into(), &[Form]),
        ("an old nonce", |_| {}, |w, e| *e = w.evidence_on(&[8; 32], &CHANNEL), &[Nonce, Exporter, ReportData]),
        (
            "a relay with a TLS key of its own",
            |_| {},
            |w, e| *e = w.evidence_on(&NONCE, &Channel { spki_sha256: [8; 32], ..CHANNEL }),
            &[TlsKey, Exporter, ReportData],
        ),
        (
            "a relay with a stolen TLS key",
            |_| {},
            |w, e| *e = w.evidence_on(&NONCE, &Channel { exporter: [8; 32], ..CHANNEL }),
            &[Exporter, ReportData],
        ),
        (
            "another key for the shares",
            |_| {},
            |_, e| e.bound.identity_pub = format!("00{}", "08".repeat(32)),
            &[Exporter, ReportData],
        ),
        ("a flipped bit of the quote", |_| {}, |_, e| flip(&mut e.evidence.attest, 60), &[Signature, ReportData]),
        ("another image", |w| measure_otherwise(w, 4), |_, _| {}, &[Pcrs]),
        ("another worker in the image", |w| measure_otherwise(w, 11), |_, _| {}, &[Pcrs]),
        ("another command line", |w| measure_otherwise(w, 12), |_, _| {}, &[CommandLine]),
        ("a key that signs anything", |w| w.ak_attributes &= !(1 << 16), |_, _| {}, &[AttestationKey]),
        ("another maker", |_| {}, |_, e| e.endorsements.chain = vec![b64(Vendor::new().der)], &[EndorsementChain]),
        ("any message", |w| w.purpose = SigningPurpose::AnyMessage, |_, _| {}, &[Purpose]),
    ];

    for (what, prepare, change, expected) in cases {
        let (mut worker, policy) = waiting();
        prepare(&mut worker);
        let mut evidence = worker.evidence();
        change(&worker, &mut evidence);

        let verdict = judge_in(STAGE, &policy, &evidence, &Pinned::default(), NOW);

        let failed: Vec<_> = failures(&verdict).into_iter().filter(|name| *name != CheckName::Release).collect();
        assert_eq!(failed, *expected, "{what}");
        assert!(!verdict.accepted() && verdict.activation().is_none(), "{what}");
    }
}

#[test]
fn a_policy_that_is_older_than_one_that_was_seen_is_refused() {
    let (worker, policy) = waiting();
    let pinned = Pinned { policy_version: Some(8), ..Pinned::default() };

    let verdict = judge_in(STAGE, &policy, &worker.evidence(), &pinned, NOW);

    assert_eq!(failures(&verdict), [CheckName::PolicyVersion]);
}
