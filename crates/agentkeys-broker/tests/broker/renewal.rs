//! `POST /v1/session/renew`.

use std::time::Duration;

use agentkeys_testing::{Answer, Person, TestBroker};
use serde_json::json;

const DAY: Duration = Duration::from_hours(24);
const RENEW: &str = "/v1/session/renew";

async fn renew(person: &Person) -> Answer {
    person.post(RENEW, &json!({})).await
}

#[tokio::test]
async fn a_device_renews_its_session_without_a_person() {
    let broker = TestBroker::start().await;
    let mut ada = broker.sign_in("ada").await;
    broker.clock().advance(20 * DAY);

    let renewed = renew(&ada).await.expect(200);

    assert_eq!(renewed.text("session_id"), ada.session_id());
    assert_eq!(renewed.text("token_type"), "DPoP");
    assert_eq!(renewed.text("expires_at"), "2027-02-10T10:00:00Z");
    ada.renewed(&renewed);
    broker.clock().advance(29 * DAY);
    let session = ada.get("/v1/session").await.expect(200);
    assert_eq!(session.text("auth_time"), "2026-12-22T10:00:00Z");
}

#[tokio::test]
async fn a_token_that_was_replaced_revokes_its_session() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let other = broker.sign_in("ada").await;
    let fresh = renew(&ada).await.expect(200);

    let reused = ada.get("/v1/session").await;

    assert_eq!(reused.refusal(), (401, "token_revoked"));
    let mut ada = ada;
    ada.renewed(&fresh);
    assert_eq!(ada.get("/v1/session").await.refusal(), (401, "token_revoked"));
    assert_eq!(other.get("/v1/sessions").await.expect(200).body["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_can_be_asked_for_again() {
    let broker = TestBroker::start().await;
    let mut ada = broker.sign_in("ada").await;
    renew(&ada).await.expect(200);

    let again = renew(&ada).await.expect(200);

    ada.renewed(&again);
    ada.get("/v1/session").await.expect(200);
}

#[tokio::test]
async fn a_replaced_token_that_asks_for_another_after_a_minute_revokes_the_session() {
    let broker = TestBroker::start().await;
    let mut ada = broker.sign_in("ada").await;
    let fresh = renew(&ada).await.expect(200);
    broker.clock().advance(Duration::from_mins(1));

    assert_eq!(renew(&ada).await.refusal(), (401, "token_revoked"));

    ada.renewed(&fresh);
    assert_eq!(ada.get("/v1/session").await.refusal(), (401, "token_revoked"));
}

#[tokio::test]
async fn renewals_end_with_the_absolute_life_of_the_session() {
    let broker = TestBroker::start().await;
    let mut ada = broker.sign_in("ada").await;
    for _ in 0..8 {
        broker.clock().advance(20 * DAY);
        let renewed = renew(&ada).await.expect(200);
        ada.renewed(&renewed);
    }

    let session = ada.get("/v1/session").await.expect(200);

    assert_eq!(session.text("expires_at"), "2027-06-20T10:00:00Z");
    broker.clock().advance(20 * DAY);
    assert_eq!(renew(&ada).await.refusal(), (401, "token_expired"));
}

#[tokio::test]
async fn a_session_without_a_device_key_is_not_renewed() {
    let broker = TestBroker::start().await;
    let ci = broker.sign_in_unbound("ada").await;

    assert_eq!(renew(&ci).await.refusal(), (401, "dpop_required"));

    ci.get("/v1/session").await.expect(200);
}

#[tokio::test]
async fn of_many_renewals_at_once_one_counts_and_all_get_its_token() {
    let broker = TestBroker::start().await;
    let mut ada = broker.sign_in("ada").await;

    let answers = futures_util::future::join_all((0..64).map(|_| renew(&ada))).await;

    let expiries: std::collections::BTreeSet<_> =
        answers.iter().map(|answer| answer.text("expires_at").to_owned()).collect();
    assert_eq!(expiries.len(), 1);
    ada.renewed(&answers[63]);
    ada.get("/v1/session").await.expect(200);
}

#[tokio::test]
async fn standing_tells_that_older_tokens_do_not_count() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    broker.clock().advance(DAY);
    renew(&ada).await.expect(200);

    let standing = broker.post("/v1/sessions/standing", &json!({"session_id": ada.session_id()})).await.expect(200);

    assert_eq!(standing.body, json!({"standing": true, "valid_for": 5, "renewed_at": "2026-12-23T10:00:00Z"}));
}
