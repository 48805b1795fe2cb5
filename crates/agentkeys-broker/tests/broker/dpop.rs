//! Tokens that are bound to a device key, and what a thief can do with one (RFC 9449).

use std::time::Duration;

use agentkeys_testing::{Answer, Device, Person, TestBroker};
use serde_json::json;

const SESSION: &str = "/v1/session";

/// Presents `token` with exactly these headers.
async fn present(broker: &TestBroker, scheme: &str, token: &str, proofs: &[&str]) -> Answer {
    let mut request = broker.http().get(broker.url(SESSION)).header("authorization", format!("{scheme} {token}"));
    for proof in proofs {
        request = request.header("dpop", *proof);
    }
    Answer::read(request.send().await.unwrap()).await
}

/// A proof by `device` that is right for `GET /v1/session` with the token of `person`.
async fn right_proof(broker: &TestBroker, device: &Device, person: &Person) -> String {
    // Asked once without a nonce, the device has the current one.
    device.send_once(broker.http().get(broker.url(SESSION)), Some(person.token())).await;
    device.proof("GET", &broker.url(SESSION), Some(person.token()))
}

#[tokio::test]
async fn a_session_is_bound_to_the_device_that_asked_for_it() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;

    let proof = right_proof(&broker, ada.device(), &ada).await;

    present(&broker, "DPoP", ada.token(), &[&proof]).await.expect(200);
    assert_eq!(present(&broker, "Bearer", ada.token(), &[]).await.refusal(), (401, "dpop_required"));
    assert_eq!(present(&broker, "Bearer", ada.token(), &[&proof]).await.refusal(), (401, "dpop_required"));
    assert_eq!(present(&broker, "DPoP", ada.token(), &[]).await.refusal(), (401, "dpop_required"));
}

#[tokio::test]
async fn a_proof_counts_once() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let proof = right_proof(&broker, ada.device(), &ada).await;

    present(&broker, "DPoP", ada.token(), &[&proof]).await.expect(200);

    let again = present(&broker, "DPoP", ada.token(), &[&proof]).await;
    assert_eq!(again.refusal(), (401, "dpop_replayed"));
}

#[tokio::test]
async fn of_many_uses_of_one_proof_at_once_one_counts() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let proof = right_proof(&broker, ada.device(), &ada).await;

    let proofs = [proof.as_str()];
    let uses = (0..64).map(|_| present(&broker, "DPoP", ada.token(), &proofs));
    let answers = futures_util::future::join_all(uses).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.refusal() == (401, "dpop_replayed")).count(), 63);
}

#[tokio::test]
async fn a_proof_without_a_nonce_of_this_process_gets_one() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let fresh = Device::new(broker.shared_clock());

    let refused = fresh.send_once(broker.http().post(broker.url("/v1/auth/email/start")).json(&json!({})), None).await;

    assert_eq!(refused.refusal(), (401, "use_dpop_nonce"));
    assert!(refused.headers["www-authenticate"].to_str().unwrap().contains(r#"error="use_dpop_nonce""#));
    assert!(refused.headers.contains_key("dpop-nonce"));

    let sibling = broker.start_sibling().await;
    right_proof(&broker, ada.device(), &ada).await;
    let proof = ada.device().proof("GET", &sibling.url(SESSION), Some(ada.token()));
    let elsewhere = present(&sibling, "DPoP", ada.token(), &[&proof]).await;
    assert_eq!(elsewhere.refusal(), (401, "use_dpop_nonce"));
}

#[tokio::test]
async fn a_nonce_and_a_proof_grow_old() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let proof = right_proof(&broker, ada.device(), &ada).await;

    broker.clock().advance(Duration::from_secs(61));
    assert_eq!(present(&broker, "DPoP", ada.token(), &[&proof]).await.refusal(), (401, "dpop_invalid"));

    broker.clock().advance(Duration::from_mins(1));
    let refused = ada.device().send_once(broker.http().get(broker.url(SESSION)), Some(ada.token())).await;
    assert_eq!(refused.refusal(), (401, "use_dpop_nonce"));
}

#[tokio::test]
async fn a_proof_for_anything_else_is_refused() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let grace = broker.sign_in("grace").await;
    right_proof(&broker, ada.device(), &ada).await;
    let (device, url) = (ada.device(), broker.url(SESSION));
    let token = Some(ada.token());

    for proof in [
        device.proof("POST", &url, token),
        device.proof("GET", &broker.url("/v1/sessions"), token),
        device.proof("GET", &url.replace("http:", "https:"), token),
        device.proof("GET", "http://127.0.0.1:1/v1/session", token),
        device.proof("GET", &url, None),
        device.proof("GET", &url, Some(grace.token())),
        grace.device().proof("GET", &url, token),
        "x".to_owned(),
        "A".repeat(8192),
    ] {
        let refused = present(&broker, "DPoP", ada.token(), &[&proof]).await;

        assert_eq!(refused.refusal(), (401, "dpop_invalid"), "{proof}");
        assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("DPoP "));
    }
    let proof = device.proof("GET", &url, token);
    assert_eq!(present(&broker, "DPoP", ada.token(), &[&proof, &proof]).await.refusal(), (401, "dpop_invalid"));
    present(&broker, "DPoP", ada.token(), &[&proof]).await.expect(200);
}

#[tokio::test]
async fn a_bearer_of_its_own_is_no_bound_token() {
    let broker = TestBroker::start().await;
    let ci = broker.sign_in_unbound("ada").await;
    let device = broker.device();
    device.send_once(broker.http().get(broker.url(SESSION)), Some(ci.token())).await;

    let proof = device.proof("GET", &broker.url(SESSION), Some(ci.token()));

    assert_eq!(present(&broker, "DPoP", ci.token(), &[&proof]).await.refusal(), (401, "token_invalid"));
    present(&broker, "Bearer", ci.token(), &[]).await.expect(200);
}

#[tokio::test]
async fn a_code_must_be_answered_by_the_device_that_asked() {
    let broker = TestBroker::start().await;
    let (ada, mallory) = (broker.device(), broker.device());
    let mail = broker.mailbox().next_to(&"ada@example.com".parse().unwrap());
    let start = broker.http().post(broker.url("/v1/auth/email/start")).json(&json!({"email": "ada@example.com"}));
    let started = ada.send(start, None).await.expect(202);
    let code = agentkeys_testing::code_in(&mail.await.text);
    let body = json!({"request_id": started.text("request_id"), "code": code});
    let verify = || broker.http().post(broker.url("/v1/auth/email/verify")).json(&body);

    let without = Answer::read(verify().send().await.unwrap()).await;
    let other = mallory.send(verify(), None).await;

    assert_eq!(without.refusal(), (401, "dpop_invalid"));
    assert_eq!(other.refusal(), (401, "dpop_invalid"));
    assert_eq!(ada.send(verify(), None).await.expect(200).text("token_type"), "DPoP");
}

#[tokio::test]
async fn an_operator_can_refuse_sessions_without_a_device_key() {
    let broker = TestBroker::start_with(|config| config.sessions.unbound_hours = 0).await;

    let refused = broker.start_sign_in("ada@example.com").await;

    assert_eq!(refused.refusal(), (401, "dpop_required"));
    broker.sign_in("ada").await.get(SESSION).await.expect(200);
}

#[tokio::test]
async fn a_wallet_session_is_bound_as_its_parent_is() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;

    let stolen = present(&broker, "Bearer", ada.wallet_token(), &[]).await;

    assert_eq!(stolen.refusal(), (401, "dpop_required"));
    ada.mint(&json!({})).await.expect(200);
}

/// The thief has the token, every proof that went over the wire so far, and keys of their own; not the device's key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_uses_of_a_stolen_bound_token_none_is_accepted() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let thief = broker.device();
    let mut seen = Vec::new();
    for _ in 0..20 {
        let proof = right_proof(&broker, ada.device(), &ada).await;
        present(&broker, "DPoP", ada.token(), &[&proof]).await.expect(200);
        seen.push(proof);
    }
    let token = ada.token();
    // Anybody may learn the nonce.
    thief.send_once(broker.http().get(broker.url(SESSION)), Some(token)).await;
    let mut refused = 0;

    for round in 0..2_000 {
        let old = &seen[round % seen.len()];
        let own = thief.proof("GET", &broker.url(SESSION), Some(token));
        let (head, _) = old.split_once('.').unwrap();
        let (_, rest) = own.split_once('.').unwrap();
        // The device's header over the thief's signature, and an old proof with another signature.
        let mixed = format!("{head}.{rest}");
        let cut = format!("{}.{}", old.rsplit_once('.').unwrap().0, own.rsplit_once('.').unwrap().1);
        let uses = [
            ("Bearer", vec![]),
            ("DPoP", vec![old.as_str()]),
            ("DPoP", vec![own.as_str()]),
            ("DPoP", vec![mixed.as_str()]),
            ("DPoP", vec![cut.as_str()]),
        ];
        let answers = uses.iter().map(|(scheme, proofs)| present(&broker, scheme, token, proofs));
        for answer in futures_util::future::join_all(answers).await {
            assert_eq!(answer.status, 401, "{answer:?}");
            refused += 1;
        }
    }

    assert_eq!(refused, 10_000);
    ada.get(SESSION).await.expect(200);
}
