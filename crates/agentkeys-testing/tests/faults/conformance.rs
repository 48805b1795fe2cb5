//! Faults that are planted into a signer, which the conformance suite must find by the right checks.

mod lying_signer;

use agentkeys_client::{Binding, Conformance, Flow, Http, Session, SpareSessions};
use agentkeys_testing::System;

use self::lying_signer::{Lie, LyingSigner};

const CHECKSUM: &str = "an address is in EIP-55 form";
const SAME_ADDRESS: &str = "an account has the same address each time, however its name is written";
const LINKED: &str = "the address is the one that the broker links after a whole round";
const FORM: &str = "a signature is 0x and r, s and v in 130 lower-case hex digits, with v 27 or 28";
const RECOVERS: &str = "a signature has a low s and is by the account's address";
const TAKEN: &str = "the broker takes a signature of its challenge";
const WRITTEN: &str = "a message may have 0x before it, and digits in upper case";
const PURPOSE: &str = "a signer for wallet proofs signs nothing else, any other signs what it is asked to";
const LENGTHS: &str = "a message of one byte, and one of 16 KiB, is read";
const DETERMINISTIC: &str = "the same message has the same signature";
const WALLET_SESSION: &str = "a wallet session is refused";
const OTHER_ACCOUNT: &str = "another account is refused";
const PROVED: &str = "a bound token needs a proof";
const UNBOUND: &str = "a signer that pins devices refuses a session that is bound to none";
const REVOKED: &str = "a revoked session is refused";
const EXPIRED: &str = "a session whose time is over is refused";
const APART: &str = "nobody reaches the account of another session";
const EVIDENCE: &str = "a signer shows evidence for a nonce, or says that it is not attested";
const NONCES: &str = "a nonce that is not 64 hex digits is refused";
const MESSAGES: &str = "a message that is absent, empty, of odd length or no hex is refused";
const LONG_MESSAGES: &str = "a message of more than 16 KiB is refused";
const SHAPE: &str = "every refusal is a problem in our shape, with the headers that belong to it";
const CACHED: &str = "no reply is kept by a cache";
const SECRETS: &str = "no reply repeats a token or a device key";

/// Servers, and the sessions with which their signer is checked.
struct Bench {
    system: System,
    session: Session,
    spare: SpareSessions,
}

impl Bench {
    async fn start() -> Self {
        let system = System::start().await;
        let session = system.sign_in("ada", Binding::DeviceKey).await;
        let spare = system.spare_sessions("ada", &session).await;
        Self { system, session, spare }
    }

    /// The checks that a signer with this lie fails, in the order in which they are made; none is left out.
    async fn failed_checks(&self, lie: Option<Lie>) -> Vec<&'static str> {
        let signer = LyingSigner::start(&self.system, lie).await;
        let flow = Flow { signer: signer.client(&Http::default()), ..self.system.flow() };
        let conformance = Box::pin(Conformance::check(&flow, &self.session, self.spare.clone())).await.unwrap();
        assert_eq!(conformance.passed(), conformance.failures().count() == 0);
        let left_out: Vec<_> = conformance.left_out().collect();
        assert!(left_out.is_empty(), "{left_out:#?}");
        conformance.failures().map(|checked| checked.check).collect()
    }
}

#[tokio::test]
async fn an_honest_signer_fails_nothing() {
    let bench = Bench::start().await;

    assert!(bench.failed_checks(None).await.is_empty());
}

#[tokio::test]
async fn wrong_signatures_are_found() {
    let bench = Bench::start().await;
    let by_the_broker = [LINKED, TAKEN, WALLET_SESSION];

    let high_s = bench.failed_checks(Some(Lie::HighS)).await;
    let upper_case = bench.failed_checks(Some(Lie::UpperCaseSignatures)).await;
    let changing = bench.failed_checks(Some(Lie::ChangingSignatures)).await;
    let by_another = bench.failed_checks(Some(Lie::SignsByAnotherKey)).await;

    assert!(by_the_broker.iter().all(|check| high_s.contains(check)), "{high_s:?}");
    assert!([RECOVERS, PURPOSE, LENGTHS].iter().all(|check| high_s.contains(check)), "{high_s:?}");
    assert_eq!(upper_case, [FORM]);
    assert!([WRITTEN, DETERMINISTIC].iter().all(|check| changing.contains(check)), "{changing:?}");
    assert!([RECOVERS, TAKEN].iter().all(|check| by_another.contains(check)), "{by_another:?}");
}

#[tokio::test]
async fn wrong_addresses_are_found() {
    let bench = Bench::start().await;

    let lower_case = bench.failed_checks(Some(Lie::LowerCaseAddresses)).await;
    let changing = bench.failed_checks(Some(Lie::ChangingAddresses)).await;

    assert_eq!(lower_case, [CHECKSUM, SAME_ADDRESS]);
    assert!(changing.contains(&SAME_ADDRESS), "{changing:?}");
}

#[tokio::test]
async fn an_open_gate_is_found() {
    let bench = Bench::start().await;

    let without_proof = bench.failed_checks(Some(Lie::TakesPlainBearers)).await;

    assert!(without_proof.contains(&PROVED), "{without_proof:?}");
    assert!(without_proof.contains(&"nobody comes in without a token"), "{without_proof:?}");
}

#[tokio::test]
async fn a_signer_that_takes_sessions_that_are_over_or_of_others_is_found() {
    let bench = Bench::start().await;

    assert_eq!(bench.failed_checks(Some(Lie::TakesRevokedSessions)).await, [REVOKED]);
    assert_eq!(bench.failed_checks(Some(Lie::TakesExpiredSessions)).await, [EXPIRED]);
    assert_eq!(bench.failed_checks(Some(Lie::TakesOthersSessions)).await, [OTHER_ACCOUNT, APART]);
}

#[tokio::test]
async fn a_signer_that_claims_a_purpose_it_does_not_keep_to_is_found() {
    let bench = Bench::start().await;

    let failed = bench.failed_checks(Some(Lie::ClaimsToSignProofsOnly)).await;

    assert_eq!(failed, [PURPOSE, LENGTHS, UNBOUND, EVIDENCE, NONCES, CACHED]);
}

#[tokio::test]
async fn wrong_codes_shapes_and_headers_are_found() {
    let bench = Bench::start().await;

    assert_eq!(bench.failed_checks(Some(Lie::VagueCodes)).await, [MESSAGES, LONG_MESSAGES]);
    assert!(bench.failed_checks(Some(Lie::PlainErrors)).await.contains(&SHAPE));
    assert_eq!(bench.failed_checks(Some(Lie::CachedReplies)).await, [CACHED]);
    assert_eq!(bench.failed_checks(Some(Lie::RepeatsTokens)).await, [SECRETS]);
}
