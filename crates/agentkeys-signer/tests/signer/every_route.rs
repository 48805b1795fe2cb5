//! A table of all routes, each called by those who may not.

use std::collections::{BTreeMap, BTreeSet};

use agentkeys_api::{ErrorCode, paths};
use agentkeys_crypto::SessionTokenClaims;
use reqwest::Method;
use serde_json::json;

use crate::{
    bench::{ADA, Bench, GRACE, new_issuer, outcome, problem},
    worker::Worker,
};

/// Every route that needs a session, with a right body.
fn guarded() -> [(&'static str, serde_json::Value); 2] {
    [
        (paths::DERIVE_ADDRESS, json!({"omni_account": ADA})),
        (paths::SIGN_MESSAGE, json!({"omni_account": ADA, "message_hex": "00"})),
    ]
}

/// Every route that needs none.
const OPEN: [&str; 2] = [paths::ATTESTATION, paths::HEALTHZ];

/// The worker's, of which `attestation.rs` and `devices.rs` are the tables.
const OF_THE_WORKER: [&str; 4] =
    [paths::ATTESTATION_ACTIVATE, paths::DEVICES, paths::DEVICES_RECOVERY, paths::DEVICE_BY_KEY];

/// Every path that the reference has, with its methods.
fn described() -> BTreeMap<String, BTreeSet<String>> {
    let description = serde_json::to_value(agentkeys_signer::openapi()).unwrap();
    let paths = description["paths"].as_object().unwrap().iter();
    paths.map(|(path, operations)| (path.clone(), operations.as_object().unwrap().keys().cloned().collect())).collect()
}

#[test]
fn the_tables_and_the_reference_have_every_route_of_the_router() {
    let source = include_str!("../../src/routes.rs");
    let tables = guarded().into_iter().map(|(path, _)| path).chain(OPEN).chain(OF_THE_WORKER);
    let mut tables: Vec<_> = tables.collect();
    tables.sort_unstable();

    assert_eq!(described().into_keys().collect::<Vec<_>>(), tables);
    assert_eq!(source.matches(".route(").count(), tables.len());
}

#[tokio::test]
async fn the_reference_has_every_method_of_every_route() {
    let worker = Worker::start().await;
    for (path, methods) in described() {
        let response = worker.client.request(Method::TRACE, worker.url(&path)).send().await.unwrap();
        let allowed = response.headers()["allow"].to_str().unwrap().to_ascii_lowercase();
        let allowed = allowed.split(',').filter(|method| *method != "head").map(str::to_owned);

        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{path}");
    }
}

#[tokio::test]
async fn every_guarded_route_lets_in_its_own_account_and_nobody_else() {
    let bench = Bench::start().await;
    let expired = SessionTokenClaims { exp: bench.claims(ADA).iat, ..bench.claims(ADA) };
    let revoked = bench.claims(ADA);
    bench.broker.revoke(revoked.sid);
    let stranger = new_issuer().issue(&bench.claims(ADA)).unwrap().expose().to_owned();
    for (path, body) in guarded() {
        let call = |token: &str| outcome(bench.post(path, token, &body));
        let without = reqwest::Client::new().post(bench.url(path)).json(&body);

        assert_eq!(outcome(without).await, Err(ErrorCode::TokenMissing), "{path}");
        assert_eq!(call(&bench.broker.issue(&expired)).await, Err(ErrorCode::TokenExpired), "{path}");
        assert_eq!(call(&bench.broker.issue(&revoked)).await, Err(ErrorCode::TokenRevoked), "{path}");
        assert_eq!(call(&bench.session(GRACE)).await, Err(ErrorCode::AccountMismatch), "{path}");
        assert_eq!(call(&stranger).await, Err(ErrorCode::TokenInvalid), "{path}");
        assert_eq!(call(&bench.wallet_session(ADA)).await, Err(ErrorCode::SessionRequired), "{path}");
        assert!(call(&bench.session(ADA)).await.is_ok(), "{path}");
    }
}

#[tokio::test]
async fn every_path_and_method_that_is_not_a_route_is_refused_in_our_shape() {
    let bench = Bench::start().await;
    let client = reqwest::Client::new();
    for (path, _) in guarded() {
        let response = client.get(bench.url(path)).send().await.unwrap();
        assert_eq!(response.headers()["allow"], "POST");
        assert_eq!(problem(response).await.error, ErrorCode::MethodNotAllowed, "{path}");
    }
    for path in OPEN {
        let response = client.post(bench.url(path)).send().await.unwrap();
        assert_eq!(problem(response).await.error, ErrorCode::MethodNotAllowed, "{path}");
    }
    for path in ["/", "/dev", "//dev/sign-message", "/dev/sign-message/", "/dev/%73ign-message%00"] {
        let response = client.get(bench.url(path)).send().await.unwrap();
        assert_eq!(problem(response).await.error, ErrorCode::NotFound, "{path}");
    }
}
