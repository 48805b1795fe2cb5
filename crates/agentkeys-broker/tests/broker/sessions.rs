//! `/v1/session`, `/v1/sessions` and `/v1/sessions/standing`.

use std::time::Duration;

use agentkeys_testing::TestBroker;
use serde_json::json;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn a_session_shows_who_opened_it_from_where() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;

    let session = ada.get("/v1/session").await.expect(200);

    assert_eq!(session.text("session_id"), ada.session_id());
    assert_eq!(session.text("kind"), "session");
    assert_eq!(session.text("account"), ada.account().to_string());
    assert_eq!(session.text("client_name"), "test bench");
    assert_eq!(session.body["identity"]["value"], "ada@example.com");
    assert_eq!(session.body["bound"], true);
    assert_eq!(session.text("key_thumbprint"), ada.device().thumbprint().to_string());
    assert_eq!(session.text("address"), "127.0.0.1");
}

#[tokio::test]
async fn a_session_ends_after_30_days() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;

    broker.clock().advance((30 * DAY).saturating_sub(Duration::from_secs(1)));
    ada.get("/v1/session").await.expect(200);
    broker.clock().advance(Duration::from_secs(1));

    assert_eq!(ada.get("/v1/session").await.refusal(), (401, "token_expired"));
}

#[tokio::test]
async fn a_session_without_a_device_key_ends_after_hours() {
    let broker = TestBroker::start().await;
    let ci = broker.sign_in_unbound("ada").await;

    broker.clock().advance(Duration::from_hours(8).saturating_sub(Duration::from_secs(1)));
    assert_eq!(ci.get("/v1/session").await.expect(200).body["bound"], false);
    broker.clock().advance(Duration::from_secs(1));

    assert_eq!(ci.get("/v1/session").await.refusal(), (401, "token_expired"));
}

#[tokio::test]
async fn the_last_use_of_a_session_is_shown() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    broker.clock().advance(Duration::from_hours(1));
    ada.get("/v1/session").await.expect(200);

    // It is noted beside the answer, so the record of another writer comes after it.
    let other = broker.sign_in("ada").await;
    let shown = async {
        loop {
            let sessions = other.get("/v1/sessions").await.expect(200);
            let used = &sessions.body["sessions"].as_array().unwrap().last().unwrap()["last_used_at"];
            if used == "2026-12-22T11:00:00Z" {
                return;
            }
        }
    };

    tokio::time::timeout(Duration::from_secs(10), shown).await.unwrap();
}

#[tokio::test]
async fn a_revoked_session_is_refused_at_once_everywhere_and_after_a_restart() {
    let broker = TestBroker::start().await;
    let laptop = broker.sign_in("ada").await.prove_wallet().await;
    let mut phone = broker.sign_in("ada").await;
    laptop.get("/v1/session").await.expect(200);

    phone.delete(&format!("/v1/sessions/{}", laptop.session_id())).await.expect(204);

    assert_eq!(laptop.get("/v1/session").await.refusal(), (401, "token_revoked"));
    assert_eq!(laptop.mint(&json!({})).await.refusal(), (401, "token_revoked"));
    let sessions = phone.get("/v1/sessions").await.expect(200);
    assert_eq!(sessions.body["sessions"].as_array().unwrap().len(), 1);

    let mut laptop = laptop;
    let broker = broker.restart().await;
    phone.visit(broker.url(""));
    phone.get("/v1/session").await.expect(200);
    laptop.visit(broker.url(""));
    assert_eq!(laptop.get("/v1/session").await.refusal(), (401, "token_revoked"));
}

#[tokio::test]
async fn revoking_all_ends_the_calling_session_too() {
    let broker = TestBroker::start().await;
    let laptop = broker.sign_in("ada").await;
    let phone = broker.sign_in("ada").await;
    let grace = broker.sign_in("grace").await;

    laptop.delete("/v1/sessions").await.expect(204);

    for person in [&laptop, &phone] {
        assert_eq!(person.get("/v1/session").await.refusal(), (401, "token_revoked"));
    }
    grace.get("/v1/session").await.expect(200);
}

#[tokio::test]
async fn another_accounts_session_cannot_be_revoked() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let mallory = broker.sign_in("mallory").await;

    for id in [ada.session_id(), &"0".repeat(32), "x", "%00"] {
        assert_eq!(mallory.delete(&format!("/v1/sessions/{id}")).await.refusal(), (404, "not_found"), "{id}");
    }

    ada.get("/v1/session").await.expect(200);
}

#[tokio::test]
async fn standing_is_told_to_anyone_who_knows_the_id() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let question = json!({"session_id": ada.session_id()});
    let unknown = json!({"session_id": "0".repeat(32)});

    let standing = broker.post("/v1/sessions/standing", &question).await.expect(200);
    assert_eq!(standing.body, json!({"standing": true, "valid_for": 5}));
    assert_eq!(broker.post("/v1/sessions/standing", &unknown).await.body["standing"], false);

    ada.delete("/v1/sessions").await.expect(204);
    assert_eq!(broker.post("/v1/sessions/standing", &question).await.body["standing"], false);
}

#[tokio::test]
async fn a_waiting_question_is_answered_when_the_session_falls() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let question = json!({"session_id": ada.session_id()});

    let (standing, revoked) =
        tokio::join!(broker.post("/v1/sessions/standing?wait=30", &question), ada.delete("/v1/sessions"));

    assert_eq!(standing.expect(200).body["standing"], false);
    assert_eq!(revoked.status, 204);
    for wait in ["wait=31", "wait=-1", "wait=x", "other=1"] {
        let answer = broker.post(&format!("/v1/sessions/standing?{wait}"), &question).await;
        assert_eq!(answer.refusal(), (400, "invalid_field"), "{wait}");
    }
}

#[tokio::test]
async fn a_session_revoked_at_one_broker_falls_at_its_sibling() {
    let broker = TestBroker::start().await;
    let sibling = broker.start_sibling().await;
    let mut ada = broker.sign_in("ada").await;
    let id = ada.session_id().to_owned();
    ada.delete(&format!("/v1/sessions/{id}")).await.expect(204);

    ada.visit(sibling.url(""));

    assert_eq!(ada.get("/v1/session").await.refusal(), (401, "token_revoked"));
}

#[tokio::test]
async fn the_identities_of_an_account_are_listed() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;

    let identities = ada.get("/v1/identities").await.expect(200);

    assert_eq!(
        identities.body,
        json!({"identities": [{"type": "email", "value": "ada@example.com", "linked_at": "2026-12-22T10:00:00Z"}]})
    );
}
