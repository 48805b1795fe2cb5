//! `POST /oauth/revoke`.

use agentkeys_store::{AuditStore, SqliteStore};
use agentkeys_testing::{Answer, TestBroker};

async fn revoke(broker: &TestBroker, token: &str) -> Answer {
    broker.post_form("/oauth/revoke", &[("client_id", "agentkeys-cli"), ("token", token)], None).await
}

#[tokio::test]
async fn whoever_has_a_token_can_end_its_session_also_without_the_device_key() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    ada.get("/v1/session").await.expect(200);

    revoke(&broker, ada.token()).await.expect(200);

    assert_eq!(ada.get("/v1/session").await.refusal(), (401, "token_revoked"));
}

#[tokio::test]
async fn a_token_that_is_none_or_was_revoked_is_answered_alike_and_nothing_is_recorded() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    revoke(&broker, ada.token()).await.expect(200);
    let entries = async || {
        let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
        store.entries_after(0, 10).await.unwrap().len()
    };
    assert_eq!(entries().await, 2);

    for token in [ada.token(), "x", "aks_x.y.z"] {
        revoke(&broker, token).await.expect(200);
    }

    assert_eq!(entries().await, 2);
}

#[tokio::test]
async fn a_wallet_session_ends_with_its_session_and_not_by_itself() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in_unbound("ada").await.prove_wallet().await;

    assert_eq!(revoke(&broker, ada.wallet_token()).await.refusal(), (400, "unsupported_token_type"));
    ada.mint(&serde_json::json!({})).await.expect(200);
    revoke(&broker, ada.token()).await.expect(200);

    assert_eq!(ada.mint(&serde_json::json!({})).await.refusal(), (401, "token_revoked"));
}

#[tokio::test]
async fn a_request_without_a_client_or_a_token_is_refused() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;

    let no_client = broker.post_form("/oauth/revoke", &[("token", ada.token())], None).await;
    let no_token = broker.post_form("/oauth/revoke", &[("client_id", "agentkeys-cli")], None).await;

    assert_eq!(no_client.refusal(), (400, "invalid_client"));
    assert_eq!(no_token.refusal(), (400, "invalid_request"));
    ada.get("/v1/session").await.expect(200);
}
