//! `POST /v1/auth/email/start` and `/verify`.

use std::time::Duration;

use agentkeys_broker::AllowList;
use agentkeys_store::{AuditStore, SqliteStore};
use agentkeys_testing::TestBroker;
use serde_json::json;

use crate::mail::all_left;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_code_from_the_mail_opens_the_account_of_the_address() {
    let broker = TestBroker::start().await;
    let (request_id, code) = broker.mailed_code("ada@example.com").await;

    let signed_in = broker.verify_code(&request_id, &code).await.expect(200);

    assert_eq!(signed_in.text("omni_account"), "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6");
    assert_eq!(signed_in.body["identity"], json!({"type": "email", "value": "ada@example.com"}));
    assert_eq!(signed_in.text("token_type"), "Bearer");
    assert!(signed_in.text("session_token").starts_with("aks_"));
    assert_eq!(signed_in.text("expires_at"), "2026-12-22T18:00:00Z");
}

#[tokio::test]
async fn signing_in_again_opens_the_same_account() {
    let broker = TestBroker::start().await;
    let first = broker.sign_in("ada").await;

    let second = broker.sign_in("Ada").await;

    assert_eq!(first.account(), second.account());
    assert_ne!(first.session_id(), second.session_id());
}

#[tokio::test]
async fn mail_goes_to_exactly_the_text_that_is_hashed() {
    let broker = TestBroker::start().await;
    let mail = broker.mailbox().next_to(&"ada@xn--bcher-kva.example".parse().unwrap());

    broker.start_sign_in(" Ada@BÜCHER.example ").await.expect(202);

    let mail = mail.await;
    assert_eq!(mail.to.len(), 1);
    assert_eq!(mail.to[0].as_str(), "ada@xn--bcher-kva.example");
    assert!(mail.text.contains("test bench"), "{}", mail.text);
    assert!(!mail.text.contains("http"), "no link in a mail may approve anything: {}", mail.text);
}

#[tokio::test]
async fn anything_but_one_plain_address_is_refused_and_nothing_is_sent() {
    let broker = TestBroker::start().await;

    for email in [
        "a@b.io,c@d.io",
        "a@b.io c@d.io",
        "a@b.io;c@d.io",
        "a@b.io\r\nBcc: c@d.io",
        "a@b.io\0",
        "<a@b.io>",
        "a@[127.0.0.1]",
        "a@b.io.",
        "a@b@c.io",
        "a@\u{212a}elvin.io",
        "a\u{ff20}b.io",
        "a\u{200b}@b.io",
    ] {
        assert_eq!(broker.start_sign_in(email).await.refusal(), (400, "invalid_email"), "{email:?}");
    }
    let array = broker.post("/v1/auth/email/start", &json!({"email": ["a@b.io", "c@d.io"]})).await;
    assert_eq!(array.refusal(), (400, "invalid_email"));

    all_left(&broker).await;
    assert!(broker.mailbox().mails(None).is_empty());
}

#[tokio::test]
async fn a_code_may_be_typed_in_any_case_with_or_without_its_hyphen() {
    let broker = TestBroker::start().await;
    let (request_id, code) = broker.mailed_code("ada@example.com").await;

    let typed = format!(" {} ", code.to_lowercase().replace('-', " "));

    broker.verify_code(&request_id, &typed).await.expect(200);
}

#[tokio::test]
async fn a_code_works_once() {
    let broker = TestBroker::start().await;
    let (request_id, code) = broker.mailed_code("ada@example.com").await;
    broker.verify_code(&request_id, &code).await.expect(200);

    assert_eq!(broker.verify_code(&request_id, &code).await.refusal(), (410, "code_expired"));
}

#[tokio::test]
async fn of_64_uses_at_once_exactly_one_succeeds() {
    let broker = TestBroker::start().await;
    let (request_id, code) = broker.mailed_code("ada@example.com").await;

    let uses = (0..64).map(|_| broker.verify_code(&request_id, &code));
    let answers = futures(uses).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.refusal(), (200, "") | (410, "code_expired"))), "{answers:?}");
}

#[tokio::test]
async fn after_five_wrong_codes_the_right_one_is_refused() {
    let broker = TestBroker::start().await;
    let (request_id, code) = broker.mailed_code("ada@example.com").await;

    for _ in 0..5 {
        assert_eq!(broker.verify_code(&request_id, "0000-0000").await.refusal(), (401, "invalid_code"));
    }

    assert_eq!(broker.verify_code(&request_id, &code).await.refusal(), (410, "code_expired"));
}

#[tokio::test]
async fn a_code_is_over_after_ten_minutes_also_when_the_clock_steps_back() {
    let broker = TestBroker::start().await;
    let (request_id, code) = broker.mailed_code("ada@example.com").await;

    broker.clock().advance(10 * MINUTE);
    assert_eq!(broker.verify_code(&request_id, &code).await.refusal(), (410, "code_expired"));
    broker.clock().step_back(5 * MINUTE);

    assert_eq!(broker.verify_code(&request_id, &code).await.refusal(), (410, "code_expired"));
}

#[tokio::test]
async fn a_code_of_another_request_is_as_wrong_as_an_unknown_request() {
    let broker = TestBroker::start().await;
    let (_, ada_code) = broker.mailed_code("ada@example.com").await;
    let (grace_request, _) = broker.mailed_code("grace@example.org").await;

    let other = broker.verify_code(&grace_request, &ada_code).await;
    let unknown = broker.verify_code(&"ab".repeat(32), &ada_code).await;

    assert_eq!(other.refusal(), (401, "invalid_code"));
    assert_eq!((other.status, other.body), (unknown.status, unknown.body));
}

#[tokio::test]
async fn an_answer_to_an_unknown_request_is_recorded_as_a_wrong_code_of_nobody() {
    let broker = TestBroker::start().await;
    let (request_id, _) = broker.mailed_code("ada@example.com").await;

    broker.verify_code(&request_id, "0000-0000").await;
    broker.verify_code(&"ab".repeat(32), "0000-0000").await;

    let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
    let entries = store.entries_after(0, 100).await.unwrap();
    let subjects: Vec<_> = entries.iter().map(|entry| entry.subject.as_str()).collect();
    assert_eq!(subjects, ["email:ada@example.com", "unknown request"]);
    for entry in entries {
        assert_eq!((entry.action.as_str(), entry.outcome.as_str()), ("sign_in", "wrong_code"));
        assert_eq!((entry.account, entry.session), (None, None));
    }
}

#[tokio::test]
async fn one_source_is_limited_in_its_answers_whatever_requests_it_names() {
    let broker = TestBroker::start_with(|config| config.limits.codes_per_source_and_hour = 3).await;
    let (request_id, code) = broker.mailed_code("ada@example.com").await;
    for unknown in ["ab", "cd"] {
        assert_eq!(broker.verify_code(&unknown.repeat(32), &code).await.refusal(), (401, "invalid_code"));
    }
    assert_eq!(broker.verify_code(&request_id, "0000-0000").await.refusal(), (401, "invalid_code"));

    for request in [request_id, "ef".repeat(32)] {
        let fourth = broker.verify_code(&request, &code).await;
        assert_eq!(fourth.refusal(), (429, "rate_limited"));
        assert_eq!(fourth.headers["retry-after"], "3600");
    }

    let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
    assert_eq!(store.entries_after(0, 100).await.unwrap().len(), 3);
    broker.clock().advance(60 * MINUTE);
    broker.sign_in("ada").await;
}

#[tokio::test]
async fn a_sixth_mail_in_an_hour_is_refused_and_the_next_hour_opens_again() {
    let broker = TestBroker::start().await;
    for _ in 0..5 {
        broker.start_sign_in("ada@example.com").await.expect(202);
    }

    let sixth = broker.start_sign_in("ADA@example.com").await;
    assert_eq!(sixth.refusal(), (429, "rate_limited"));
    assert_eq!(sixth.headers["retry-after"], "3600");
    broker.start_sign_in("grace@example.org").await.expect(202);

    broker.clock().advance(60 * MINUTE);
    broker.start_sign_in("ada@example.com").await.expect(202);
}

#[tokio::test]
async fn of_64_requests_at_once_never_more_than_five_mails_leave() {
    let broker = TestBroker::start_with(|config| config.limits.mails_per_source_and_hour = 1000).await;

    let answers = futures((0..64).map(|_| broker.start_sign_in("ada@example.com"))).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 5);
    all_left(&broker).await;
    assert_eq!(broker.mailbox().mails(None).len(), 5);
}

#[tokio::test]
async fn one_source_is_limited_whatever_addresses_it_names_or_headers_it_sends() {
    let broker = TestBroker::start().await;
    for index in 0..20 {
        broker.start_sign_in(&format!("ada{index}@example.com")).await.expect(202);
    }

    let forged = broker.http().post(broker.url("/v1/auth/email/start")).header("x-forwarded-for", "203.0.113.9");
    let answer = forged.json(&json!({"email": "ada20@example.com"})).send().await.unwrap();

    assert_eq!(answer.status(), 429);
}

#[tokio::test]
async fn who_may_not_sign_in_learns_it_only_with_the_right_code() {
    let broker = TestBroker::start_with(|config| config.sign_in = AllowList::of(["@example.com"]).unwrap()).await;
    let (request_id, code) = broker.mailed_code("mallory@example.net").await;

    assert_eq!(broker.verify_code(&request_id, "0000-0000").await.refusal(), (401, "invalid_code"));
    assert_eq!(broker.verify_code(&request_id, &code).await.refusal(), (403, "sign_in_not_allowed"));
    assert_eq!(broker.verify_code(&request_id, &code).await.refusal(), (410, "code_expired"));

    broker.sign_in("ada").await;
}

#[tokio::test]
async fn a_code_works_at_a_broker_that_was_restarted_in_between() {
    let broker = TestBroker::start().await;
    let (request_id, code) = broker.mailed_code("ada@example.com").await;

    let broker = broker.restart().await;

    broker.verify_code(&request_id, &code).await.expect(200);
}

/// Runs everything at once, on this task.
pub(crate) async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(all).await
}
