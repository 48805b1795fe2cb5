//! Health, readiness, metrics, the description of the API, and what a start refuses.

use std::sync::Arc;

use agentkeys_broker::Config;
use agentkeys_testing::{ManualClock, TestBroker};

#[tokio::test]
async fn a_broker_is_ready_while_mail_can_leave() {
    let mut broker = TestBroker::start().await;
    assert_eq!(broker.get("/readyz").await.expect(200).body["ready"], true);

    broker.stop_mail().await;

    let answer = broker.get("/readyz").await.expect(503);
    assert_eq!(answer.body["reasons"], serde_json::json!(["mail cannot leave"]));
    broker.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let broker = TestBroker::start().await;
    broker.get("/healthz").await.expect(200);

    let metrics = reqwest::get(format!("http://{}/metrics", broker.running().metrics_address())).await.unwrap();

    assert!(metrics.text().await.unwrap().contains("http_requests_total{server=\"broker\""));
    broker.get("/metrics").await.expect(404);
}

#[tokio::test]
async fn the_description_names_every_path_with_its_refusals() {
    let broker = TestBroker::start().await;

    let description = broker.get("/openapi.json").await.expect(200);

    assert_eq!(description.body["info"]["title"], "AgentKeys broker");
    assert!(description.body["paths"]["/v1/mint-oidc-jwt"]["post"]["responses"]["503"].is_object());
}

#[tokio::test]
async fn another_client_id_on_the_same_store_refuses_to_start() {
    let broker = TestBroker::start().await;
    let loopback = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        client_id: "other".parse().unwrap(),
        state: broker.state().to_owned(),
        listen: loopback,
        metrics_listen: loopback,
        ..Config::default()
    };

    let refusal = agentkeys_broker::start(config, Arc::new(ManualClock::default())).await.unwrap_err();

    assert!(refusal.to_string().contains("client_id"), "{refusal}");
}

#[tokio::test]
async fn signing_keys_and_store_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let broker = TestBroker::start().await;
    broker.sign_in("ada").await;

    for file in ["keys/session.pem", "keys/oidc.pem", "keys/codes.key", "agentkeys.db", "agentkeys.db-wal"] {
        let mode = std::fs::metadata(broker.state().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
