//! A broker whose store is an older copy.

use std::{fs, path::Path, sync::Arc};

use agentkeys_broker::Config;
use agentkeys_store::{AuditStore, SqliteStore, verify_chain};
use agentkeys_testing::{ManualClock, Person, TestBroker};
use serde_json::json;

const STORE: &str = "agentkeys.db";
const BACKUP: &str = "backup.db";
const WITNESS: &str = "keys/witness/audit-head.json";

pub(crate) fn back_up(state: &Path) {
    fs::copy(state.join(STORE), state.join(BACKUP)).unwrap();
}

pub(crate) fn restore(state: &Path) {
    fs::copy(state.join(BACKUP), state.join(STORE)).unwrap();
}

/// What the broker thinks of somebody's session, wherever it listens today.
async fn verdict(broker: &TestBroker, person: &mut Person) -> (u16, String) {
    person.visit(broker.url(""));
    let answer = person.get("/v1/session").await;
    (answer.status, answer.body["error"].as_str().unwrap_or_default().to_owned())
}

fn stands() -> (u16, String) {
    (200, String::new())
}

fn revoked() -> (u16, String) {
    (401, "token_revoked".to_owned())
}

async fn revoke(by: &Person, other: &Person) {
    by.delete(&format!("/v1/sessions/{}", other.session_id())).await.expect(204);
}

#[tokio::test]
async fn an_older_copy_of_the_store_lets_no_agent_have_anything_until_a_person_says_so() {
    let broker = TestBroker::start().await;
    let mut ada = broker.sign_in("ada").await;
    ada.put("/v1/agents/claude", &json!({})).await.expect(201);
    let broker = broker.restart_with_files(back_up).await;
    ada.visit(broker.url(""));
    ada.delete("/v1/agents/claude").await.expect(204);

    let broker = broker.restart_with_files(restore).await;

    let ada = broker.sign_in("ada").await.prove_wallet().await;
    assert_eq!(ada.mint(&json!({"agent": "claude"})).await.refusal(), (400, "agent_unknown"));
    ada.put("/v1/agents/claude", &json!({})).await.expect(200);
    ada.mint(&json!({"agent": "claude"})).await.expect(200);
}

#[tokio::test]
async fn an_older_copy_of_the_store_honours_no_session() {
    let broker = TestBroker::start().await;
    let (mut laptop, mut phone) = (broker.sign_in("ada").await, broker.sign_in("ada").await);
    let mut grace = broker.sign_in("grace").await;
    let broker = broker.restart_with_files(back_up).await;
    phone.visit(broker.url(""));
    revoke(&phone, &laptop).await;

    let broker = broker.restart_with_files(restore).await;

    for person in [&mut laptop, &mut phone, &mut grace] {
        assert_eq!(verdict(&broker, person).await, revoked());
    }
    let mut again = broker.sign_in("ada").await;
    assert_eq!(again.account(), laptop.account());
    let broker = broker.restart_with_files(|_| {}).await;
    assert_eq!(verdict(&broker, &mut again).await, stands());
    assert_eq!(verdict(&broker, &mut laptop).await, revoked());
}

#[tokio::test]
async fn a_restore_is_recorded() {
    let broker = TestBroker::start().await;
    let broker = broker.restart_with_files(back_up).await;
    let ada = broker.sign_in("ada").await;
    ada.delete("/v1/sessions").await.expect(204);

    let broker = broker.restart_with_files(restore).await;

    let store = SqliteStore::open(&broker.state().join(STORE)).unwrap();
    let entries = store.entries_after(0, 10).await.unwrap();
    verify_chain([0; 32], &entries).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["restore_detected"]);
}

#[tokio::test]
async fn an_older_copy_that_has_gone_on_is_known_too() {
    let broker = TestBroker::start().await;
    let (mut laptop, mut phone) = (broker.sign_in("ada").await, broker.sign_in("ada").await);
    let broker = broker.restart_with_files(back_up).await;
    phone.visit(broker.url(""));
    revoke(&phone, &laptop).await;
    let aside = |state: &Path| state.join("aside");
    let broker = broker
        .restart_with_files(|state| {
            restore(state);
            fs::rename(state.join(WITNESS), aside(state)).unwrap();
        })
        .await;
    let mut later = Vec::new();
    for _ in 0..3 {
        later.push(broker.sign_in("grace").await);
    }

    let broker = broker.restart_with_files(|state| fs::rename(aside(state), state.join(WITNESS)).unwrap()).await;

    for person in [&mut laptop, &mut phone].into_iter().chain(&mut later) {
        assert_eq!(verdict(&broker, person).await, revoked());
    }
}

#[tokio::test]
async fn a_code_that_was_used_after_the_copy_is_over() {
    let broker = TestBroker::start().await;
    let (request_id, code) = broker.mailed_code("ada@example.com").await;
    let (other_request_id, other_code) = broker.mailed_code("grace@example.com").await;
    let broker = broker.restart_with_files(back_up).await;
    broker.verify_code(&request_id, &code).await.expect(200);

    let broker = broker.restart_with_files(restore).await;

    for (request_id, code) in [(request_id, code), (other_request_id, other_code)] {
        assert_eq!(broker.verify_code(&request_id, &code).await.refusal(), (410, "code_expired"));
    }
}

#[tokio::test]
async fn a_token_that_was_replaced_after_the_copy_does_not_come_back() {
    let broker = TestBroker::start().await;
    let mut ada = broker.sign_in("ada").await;
    let broker = broker.restart_with_files(back_up).await;
    ada.visit(broker.url(""));
    ada.post("/v1/session/renew", &serde_json::json!({})).await.expect(200);

    let broker = broker.restart_with_files(restore).await;

    assert_eq!(verdict(&broker, &mut ada).await, revoked());
}

#[tokio::test]
async fn brokers_on_one_store_do_not_take_each_other_for_a_restore() {
    let broker = TestBroker::start().await;
    let sibling = broker.start_sibling().await;
    let (mut ada, mut other) = (broker.sign_in("ada").await, broker.sign_in("ada").await);
    let mut third = broker.sign_in("ada").await;

    revoke(&ada, &other).await;
    ada.visit(sibling.url(""));
    revoke(&ada, &third).await;
    let broker = broker.restart().await;
    let sibling = sibling.restart().await;

    for broker in [&broker, &sibling] {
        assert_eq!(verdict(broker, &mut ada).await, stands());
        assert_eq!(verdict(broker, &mut other).await, revoked());
        assert_eq!(verdict(broker, &mut third).await, revoked());
    }
}

#[tokio::test]
async fn a_crash_before_a_revocation_is_witnessed_does_no_harm() {
    let broker = TestBroker::start().await;
    let (mut laptop, mut phone) = (broker.sign_in("ada").await, broker.sign_in("ada").await);
    let broker = broker
        .restart_with_files(|state| {
            fs::copy(state.join(WITNESS), state.join("before")).unwrap();
        })
        .await;
    phone.visit(broker.url(""));
    revoke(&phone, &laptop).await;

    let broker =
        broker.restart_with_files(|state| fs::rename(state.join("before"), state.join(WITNESS)).unwrap()).await;

    assert_eq!(verdict(&broker, &mut phone).await, stands());
    assert_eq!(verdict(&broker, &mut laptop).await, revoked());
}

#[tokio::test]
async fn a_revocation_that_cannot_be_witnessed_is_not_confirmed_but_holds() {
    let broker = TestBroker::start().await;
    let (mut laptop, mut phone) = (broker.sign_in("ada").await, broker.sign_in("ada").await);
    let folder = broker.state().join("keys/witness");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();

    let refused = phone.delete(&format!("/v1/sessions/{}", laptop.session_id())).await;

    assert_eq!(refused.refusal(), (503, "storage_unavailable"));
    assert_eq!(verdict(&broker, &mut laptop).await, revoked());
    assert_eq!(verdict(&broker, &mut phone).await, stands());
}

#[tokio::test]
async fn a_broker_whose_witness_makes_no_sense_does_not_start() {
    let broker = TestBroker::start().await.restart_with_files(|_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    agentkeys_crypto::private_file::replace(&folder.path().join("witness/audit-head.json"), b"nonsense").unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let (state, keys) = (broker.state().to_owned(), Some(folder.path().to_owned()));
    let config = Config { state, keys, listen, metrics_listen: listen, ..Config::default() };

    let refusal = agentkeys_broker::start(config, Arc::new(ManualClock::default())).await.unwrap_err().to_string();

    assert!(refusal.contains("audit-head.json` is damaged"), "{refusal}");
}
