//! How a client comes and goes.

use std::sync::Arc;

use agentkeys_mcp::{AgentTools, ServeError, serve};
use agentkeys_types::SystemClock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bench::{Bench, FakeDaemon, done};

#[tokio::test]
async fn serving_ends_when_the_client_goes_away() {
    let bench = Bench::start().await;
    done(&bench.call("list_access", json!({})).await);

    assert!(bench.close().await.is_ok());
}

#[tokio::test]
async fn a_client_that_asks_nothing_is_no_failure() {
    assert!(answer_to("").await.0.is_ok());
}

#[tokio::test]
async fn what_was_asked_before_the_end_is_answered() {
    let lines = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "list_access" } }),
    ];

    let (served, answers) = answer_to(&lines.map(|line| format!("{line}\n")).concat()).await;

    assert!(served.is_ok());
    assert_eq!(answers.lines().count(), 2, "{answers}");
    assert!(answers.lines().nth(1).unwrap().contains("The agent `claude` may have"), "{answers}");
}

#[tokio::test]
async fn who_speaks_another_protocol_is_not_repeated() {
    let line = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "my password" } });

    let (served, _) = answer_to(&format!("{line}\n")).await;

    if let Err(error) = served {
        assert!(!format!("{error} {error:?}").contains("password"), "{error:?}");
    }
}

/// What comes of a client that writes this and closes its end.
async fn answer_to(input: &str) -> (Result<(), ServeError>, String) {
    let tools = AgentTools::new(Arc::new(FakeDaemon::default()), Arc::new(SystemClock));
    let (mut to_us, from_client) = tokio::io::duplex(64 * 1024);
    let (to_client, mut answers) = tokio::io::duplex(64 * 1024);
    to_us.write_all(input.as_bytes()).await.unwrap();
    drop(to_us);
    let served = serve(tools, from_client, to_client).await;
    let mut said = String::new();
    answers.read_to_string(&mut said).await.unwrap();
    (served, said)
}
