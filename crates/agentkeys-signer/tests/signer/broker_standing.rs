//! What a signer makes of a broker's answers over HTTP.

use std::time::Duration;

use agentkeys_api::paths;
use agentkeys_crypto::JwkSet;
use agentkeys_http::{Running, Server};
use agentkeys_signer::{BrokerStanding, BrokerUnreachable, Standing};
use agentkeys_types::SessionId;
use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};

use crate::bench::new_issuer;

const SESSION: SessionId = SessionId::from_bytes([7; 16]);

async fn broker(router: Router) -> (Running, BrokerStanding) {
    let server = Server::bind("broker", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", server.address()).parse().unwrap();
    (server.serve(router), BrokerStanding::new(&url).unwrap())
}

fn standing_answered<A: IntoResponse + Clone + Send + Sync + 'static>(answer: A) -> Router {
    Router::new().route(paths::SESSIONS_STANDING, post(|| async { answer }))
}

#[tokio::test]
async fn keys_and_standing_come_from_the_broker() {
    let keys = new_issuer().keys();
    let published = serde_json::to_string(&keys).unwrap();
    let echo = async |body: String| {
        assert_eq!(body, format!(r#"{{"session_id":"{SESSION}"}}"#));
        r#"{"standing":true,"valid_for":5}"#
    };
    let router = Router::new()
        .route(paths::SESSION_KEYS, get(|| async { published }))
        .route(paths::SESSIONS_STANDING, post(echo));
    let (_running, standing) = broker(router).await;

    assert_eq!(standing.session_keys().await, Ok::<JwkSet, _>(keys));
    assert_eq!(
        standing.of(SESSION, Duration::ZERO).await,
        Ok(agentkeys_api::Standing { standing: true, valid_for: 5, renewed_at: None })
    );
}

#[tokio::test]
async fn an_answer_that_is_none_is_no_yes() {
    for router in [
        standing_answered("rubbish"),
        standing_answered(r#"{"standing":1,"valid_for":5}"#),
        standing_answered("x".repeat(1024 * 1024)),
        standing_answered((http::StatusCode::SERVICE_UNAVAILABLE, r#"{"standing":true,"valid_for":5}"#)),
        standing_answered(Redirect::temporary("http://127.0.0.1:1/")),
        Router::new(),
    ] {
        let (_running, standing) = broker(router).await;

        assert_eq!(standing.of(SESSION, Duration::ZERO).await, Err(BrokerUnreachable));
    }
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_unreachable() {
    let standing = BrokerStanding::new(&"http://127.0.0.1:1".parse().unwrap()).unwrap();

    assert_eq!(standing.of(SESSION, Duration::ZERO).await, Err(BrokerUnreachable));
    assert_eq!(standing.session_keys().await, Err(BrokerUnreachable));
}
