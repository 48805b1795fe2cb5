//! `POST /oauth/token`, for authorization codes.

use std::time::Duration;

use agentkeys_store::{AuditStore, SqliteStore};
use agentkeys_testing::{Answer, CommandSignIn, TestBroker};

use crate::email::futures;

const FORM: &str = "application/x-www-form-urlencoded";

/// What answers a changed exchange of a right code.
async fn exchange(broker: &TestBroker, sign_in: &CommandSignIn, code: &str, name: &'static str, value: &str) -> Answer {
    let mut form = sign_in.exchange(code);
    form.retain(|(known, _)| *known != name);
    form.push((name, value));
    broker.post_form("/oauth/token", &form, sign_in.device.as_ref()).await
}

#[tokio::test]
async fn a_code_is_only_for_whoever_began_the_sign_in() {
    let broker = TestBroker::start().await;
    let sign_in = CommandSignIn::new(Some(broker.device()));
    let code = broker.code_for(&sign_in, "ada@example.com").await;

    for (name, value, error) in [
        ("code_verifier", "0".repeat(64).as_str(), "invalid_grant"),
        ("redirect_uri", "http://127.0.0.1:49153/callback", "invalid_grant"),
        ("client_id", "other", "invalid_client"),
        ("client_id", "", "invalid_client"),
        ("code", "ab".repeat(32).as_str(), "invalid_grant"),
        ("code", "x", "invalid_grant"),
        ("code", "", "invalid_request"),
        ("code_verifier", "", "invalid_request"),
        ("redirect_uri", "", "invalid_request"),
        ("grant_type", "", "invalid_request"),
        ("grant_type", "password", "unsupported_grant_type"),
    ] {
        assert_eq!(exchange(&broker, &sign_in, &code, name, value).await.refusal(), (400, error), "{name} {value}");
    }
    for device in [None, Some(broker.device())] {
        let stolen = CommandSignIn { device, ..sign_in.clone() };
        assert_eq!(broker.redeem(&stolen, &code).await.refusal(), (400, "invalid_grant"));
    }

    broker.redeem(&sign_in, &code).await.expect(200);
}

#[tokio::test]
async fn a_code_that_comes_again_ends_the_session_that_it_opened_and_that_is_recorded() {
    let broker = TestBroker::start().await;
    let sign_in = CommandSignIn::new(Some(broker.device()));
    let code = broker.code_for(&sign_in, "ada@example.com").await;
    let signed_in = broker.redeem(&sign_in, &code).await.expect(200);
    let ada = broker.person(sign_in.device.clone(), &signed_in);
    ada.get("/v1/session").await.expect(200);

    assert_eq!(broker.redeem(&sign_in, &code).await.refusal(), (400, "invalid_grant"));

    assert_eq!(ada.get("/v1/session").await.refusal(), (401, "token_revoked"));
    let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
    let entries = store.entries_after(0, 10).await.unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["sign_in", "reuse_code"]);
    assert_eq!(entries[1].session.unwrap().to_string(), ada.session_id());
}

#[tokio::test]
async fn of_64_redemptions_at_once_exactly_one_opens_a_session() {
    let broker = TestBroker::start().await;
    let sign_in = CommandSignIn::new(None);
    let code = broker.code_for(&sign_in, "ada@example.com").await;

    let answers = futures((0..64).map(|_| broker.redeem(&sign_in, &code))).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.refusal(), (200, "") | (400, "invalid_grant"))), "{answers:?}");
}

#[tokio::test]
async fn a_code_counts_for_a_minute() {
    let broker = TestBroker::start().await;
    let sign_in = CommandSignIn::new(None);
    let in_time = broker.code_for(&sign_in, "ada@example.com").await;
    broker.clock().advance(Duration::from_secs(59));
    broker.redeem(&sign_in, &in_time).await.expect(200);
    let late = broker.code_for(&sign_in, "ada@example.com").await;

    broker.clock().advance(Duration::from_mins(1));

    assert_eq!(broker.redeem(&sign_in, &late).await.refusal(), (400, "invalid_grant"));
}

#[tokio::test]
async fn a_code_that_nobody_approved_is_none() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let page = browser.open(&sign_in.path()).await.expect(200);
    let question = broker.prove_by_email(&browser, &page, "ada@example.com").await.expect(200);

    let request = question.form("/oauth/confirm").field("request").unwrap().to_owned();

    assert_eq!(broker.redeem(&sign_in, &request).await.refusal(), (400, "invalid_grant"));
}

#[tokio::test]
async fn where_every_session_needs_a_device_key_a_code_without_one_is_refused() {
    let broker = TestBroker::start_with(|config| config.sessions.unbound_hours = 0).await;
    let sign_in = CommandSignIn::new(None);

    let sent = broker.browser().open(&sign_in.path()).await.expect(303);
    assert_eq!(sent.brought("error").as_deref(), Some("invalid_request"));
    assert_eq!(broker.redeem(&sign_in, &"0".repeat(64)).await.refusal(), (400, "invalid_dpop_proof"));
    let device = broker.post_form("/oauth/device_authorization", &[("client_id", "agentkeys-cli")], None).await;
    assert_eq!(device.refusal(), (400, "invalid_dpop_proof"));

    broker.sign_in_by_browser("ada").await;
    broker.sign_in_by_device("ada").await;
}

#[tokio::test]
async fn a_proof_without_the_nonce_of_the_broker_is_asked_for_again_in_the_words_of_oauth() {
    let broker = TestBroker::start().await;
    let device = broker.device();
    let sign_in = CommandSignIn::new(Some(device.clone()));
    let code = broker.code_for(&sign_in, "ada@example.com").await;
    let request = || broker.http().post(broker.url("/oauth/token")).form(&sign_in.exchange(&code));

    let first = device.send_once(request(), None).await;
    assert_eq!(first.refusal(), (400, "use_dpop_nonce"));
    assert!(first.headers.contains_key("dpop-nonce"));
    device.send_once(request(), None).await.expect(200);
}

#[tokio::test]
async fn a_proof_that_is_none_is_refused_in_the_words_of_oauth() {
    let broker = TestBroker::start().await;
    let sign_in = CommandSignIn::new(None);
    let code = broker.code_for(&sign_in, "ada@example.com").await;

    let request = broker.http().post(broker.url("/oauth/token")).form(&sign_in.exchange(&code)).header("dpop", "x");
    let answer = Answer::read(request.send().await.unwrap()).await;

    assert_eq!(answer.refusal(), (400, "invalid_dpop_proof"));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
}

#[tokio::test]
async fn what_is_no_form_or_an_ambiguous_one_is_refused_on_each_of_the_three_endpoints() {
    let broker = TestBroker::start().await;
    let large = format!("client_id=agentkeys-cli&token={}", "a".repeat(70_000));

    for path in ["/oauth/token", "/oauth/device_authorization", "/oauth/revoke"] {
        for (content_type, body, status) in [
            ("application/json", r#"{"client_id":"agentkeys-cli"}"#, 415),
            (FORM, "client_id=agentkeys-cli&client_id=agentkeys-cli&grant_type=x&token=x", 400),
            (FORM, &large, 413),
            (FORM, "client_id=\u{0}&grant_type=%ff", 400),
        ] {
            let answer = broker.post_text(path, content_type, body.to_owned()).await;
            assert_eq!(answer.status, status, "{path} {}", &body[..30]);
            assert!(answer.text("error").starts_with("invalid_") || status == 400, "{path} {answer:?}");
        }
    }
    let bytes = broker.post_text("/oauth/token", FORM, b"grant_type=\xff".to_vec()).await;
    assert_eq!(bytes.refusal(), (400, "invalid_request"));
}

#[tokio::test]
async fn the_answer_is_kept_by_nobody_on_the_way() {
    let broker = TestBroker::start().await;
    let sign_in = CommandSignIn::new(None);
    let code = broker.code_for(&sign_in, "ada@example.com").await;

    let signed_in = broker.redeem(&sign_in, &code).await.expect(200);

    assert_eq!(signed_in.headers["cache-control"], "no-store");
    assert_eq!(signed_in.text("token_type"), "Bearer");
    assert_eq!(signed_in.body["expires_in"], 8 * 3600);
    assert_eq!(signed_in.body["identity"]["value"], "ada@example.com");
}

#[tokio::test]
async fn a_code_works_at_a_sibling_and_after_a_restart() {
    let broker = TestBroker::start().await;
    let sign_in = CommandSignIn::new(None);
    let code = broker.code_for(&sign_in, "ada@example.com").await;
    let other = broker.code_for(&sign_in, "ada@example.com").await;

    broker.start_sibling().await.redeem(&sign_in, &code).await.expect(200);
    broker.restart().await.redeem(&sign_in, &other).await.expect(200);
}
