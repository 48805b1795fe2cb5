//! A table of all routes, each called without a token, and with every kind of token that must not open it.

use std::time::Duration;

use agentkeys_broker::routes;
use agentkeys_crypto::{Es256Key, Purpose, SessionIssuer, SessionTokenClaims};
use agentkeys_testing::{Answer, TestBroker};
use agentkeys_types::{Clock, IdentityType};
use serde_json::{Value, json};

/// Which token a route takes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Takes {
    Any,
    Nothing,
    Session,
    Wallet,
}

const ROUTES: &[(&str, &str, Takes)] = &[
    ("delete", "/v1/agents/{name}", Takes::Session),
    ("delete", "/v1/identities/{identity_type}/{identity_value}", Takes::Session),
    ("delete", "/v1/sessions", Takes::Session),
    ("delete", "/v1/sessions/{session_id}", Takes::Session),
    ("delete", "/v1/wallet/link/{address}", Takes::Session),
    ("get", "/.well-known/jwks.json", Takes::Nothing),
    ("get", "/.well-known/oauth-authorization-server", Takes::Nothing),
    ("get", "/.well-known/openid-configuration", Takes::Nothing),
    ("get", "/assets/style.css", Takes::Nothing),
    ("get", "/device", Takes::Nothing),
    ("get", "/healthz", Takes::Nothing),
    ("get", "/oauth/authorize", Takes::Nothing),
    ("get", "/oauth/callback/{provider}", Takes::Nothing),
    ("get", "/oauth/done", Takes::Nothing),
    ("get", "/oauth/link", Takes::Nothing),
    ("get", "/readyz", Takes::Nothing),
    ("get", "/v1/agents", Takes::Session),
    ("get", "/v1/identities", Takes::Session),
    ("get", "/v1/session", Takes::Any),
    ("get", "/v1/session-keys", Takes::Nothing),
    ("get", "/v1/sessions", Takes::Session),
    ("get", "/v1/wallet/links", Takes::Session),
    ("post", "/device", Takes::Nothing),
    ("post", "/oauth/confirm", Takes::Nothing),
    ("post", "/oauth/device_authorization", Takes::Nothing),
    ("post", "/oauth/revoke", Takes::Nothing),
    ("post", "/oauth/sign-in/code", Takes::Nothing),
    ("post", "/oauth/sign-in/email", Takes::Nothing),
    ("post", "/oauth/sign-in/provider", Takes::Nothing),
    ("post", "/oauth/token", Takes::Nothing),
    ("post", "/v1/auth/email/start", Takes::Nothing),
    ("post", "/v1/auth/email/verify", Takes::Nothing),
    ("post", "/v1/auth/wallet/start", Takes::Session),
    ("post", "/v1/auth/wallet/verify", Takes::Session),
    ("post", "/v1/identities/email/start", Takes::Session),
    ("post", "/v1/identities/email/verify", Takes::Session),
    ("post", "/v1/identities/oauth/start", Takes::Session),
    ("post", "/v1/identities/oauth/verify", Takes::Session),
    ("post", "/v1/mint-oidc-jwt", Takes::Wallet),
    ("post", "/v1/session/renew", Takes::Session),
    ("post", "/v1/sessions/standing", Takes::Nothing),
    ("post", "/v1/wallet/link", Takes::Session),
    ("put", "/v1/agents/{name}", Takes::Session),
];

/// A body that each route would take from its rightful caller.
fn body(path: &str, address: &str) -> Value {
    match path {
        "/v1/auth/email/start" => json!({"email": "ada@example.com"}),
        "/v1/identities/email/start" => json!({"email": "ada@example.org"}),
        "/v1/identities/oauth/start" => json!({"provider": "acme"}),
        "/v1/identities/oauth/verify" => json!({"request_id": "ab".repeat(32)}),
        "/v1/auth/email/verify" | "/v1/identities/email/verify" => {
            json!({"request_id": "ab".repeat(32), "code": "0000-0000"})
        }
        "/v1/auth/wallet/verify" => {
            json!({"request_id": "ab".repeat(32), "signature": format!("0x{}1b", "11".repeat(64))})
        }
        "/v1/auth/wallet/start" | "/v1/wallet/link" => json!({"address": address}),
        "/v1/sessions/standing" => json!({"session_id": "0".repeat(32)}),
        _ => json!({}),
    }
}

async fn call(broker: &TestBroker, method: &str, path: &str, address: &str, token: Option<&str>) -> Answer {
    let target = path.replace("{session_id}", &"0".repeat(32)).replace("{address}", address);
    let target = target.replace("{name}", "claude");
    let target = target.replace("{identity_type}", "email").replace("{identity_value}", "ada@example.com");
    let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let mut request = broker.http().request(method.clone(), broker.url(&target));
    if matches!(method.as_str(), "POST" | "PUT") {
        request = request.json(&body(path, address));
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    Answer::read(request.send().await.unwrap()).await
}

#[test]
fn the_table_names_every_route_of_the_router() {
    let description = serde_json::to_value(routes::openapi()).unwrap();
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        described.extend(operations.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    described.sort();

    let table: Vec<_> = ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();

    assert_eq!(described, table);
}

#[tokio::test]
async fn no_route_opens_to_a_token_that_is_missing_expired_revoked_or_forged() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in_unbound("ada").await.prove_wallet().await;
    let address = ada.address();
    let revoked = broker.sign_in_unbound("ada").await.prove_wallet().await;
    let expired = broker.sign_in_unbound("ada").await.prove_wallet().await;
    ada.delete(&format!("/v1/sessions/{}", revoked.session_id())).await.expect(204);
    let forged = forged(&broker, &ada);

    for (method, path, takes) in ROUTES.iter().filter(|(_, _, takes)| *takes != Takes::Nothing) {
        let refused = async |token| call(&broker, method, path, &address, token).await;
        assert_eq!(refused(None).await.refusal(), (401, "token_missing"), "{method} {path}");
        assert_eq!(refused(Some(forged.as_str())).await.refusal(), (401, "token_invalid"), "{method} {path}");
        for token in [revoked.token(), revoked.wallet_token()] {
            assert_eq!(refused(Some(token)).await.refusal(), (401, "token_revoked"), "{method} {path}");
        }
        match takes {
            Takes::Session => {
                let answer = refused(Some(ada.wallet_token())).await;
                assert_eq!(answer.refusal(), (403, "session_required"), "{method} {path}");
            }
            Takes::Wallet => {
                let answer = refused(Some(ada.token())).await;
                assert_eq!(answer.refusal(), (403, "wallet_session_required"), "{method} {path}");
            }
            Takes::Any | Takes::Nothing => {}
        }
    }

    broker.clock().advance(Duration::from_hours(30 * 24));
    for (method, path, _) in ROUTES.iter().filter(|(_, _, takes)| *takes != Takes::Nothing) {
        for token in [expired.token(), expired.wallet_token()] {
            let answer = call(&broker, method, path, &address, Some(token)).await;
            assert_eq!(answer.refusal(), (401, "token_expired"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn no_route_opens_to_a_bound_token_that_comes_as_a_bearer() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let address = ada.address();

    for (method, path, _) in ROUTES.iter().filter(|(_, _, takes)| *takes != Takes::Nothing) {
        for token in [ada.token(), ada.wallet_token()] {
            let answer = call(&broker, method, path, &address, Some(token)).await;

            assert_eq!(answer.refusal(), (401, "dpop_required"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn another_accounts_token_sees_and_changes_nothing_of_this_one() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in_unbound("ada").await.prove_wallet().await;
    let mallory = broker.sign_in("mallory").await.prove_wallet().await;
    let challenge = ada.challenge().await;

    for path in ["/v1/session", "/v1/sessions", "/v1/identities", "/v1/wallet/links"] {
        let text = mallory.get(path).await.expect(200).body.to_string();
        for secret in [ada.account().to_string(), ada.session_id().to_owned(), ada.address(), "ada@".to_owned()] {
            assert!(!text.contains(&secret), "{path} tells {secret}");
        }
    }
    let foreign = json!({"address": ada.address()});
    assert_eq!(mallory.post("/v1/auth/wallet/start", &foreign).await.refusal(), (404, "wallet_not_linked"));
    assert_eq!(
        mallory.answer_challenge(&challenge.0, &ada.sign(&challenge.1)).await.refusal(),
        (401, "challenge_invalid")
    );
    assert_eq!(
        mallory.delete(&format!("/v1/wallet/link/{}", ada.address())).await.refusal(),
        (404, "wallet_not_linked")
    );
    assert_eq!(mallory.delete(&format!("/v1/sessions/{}", ada.session_id())).await.refusal(), (404, "not_found"));
    mallory.delete("/v1/sessions").await.expect(204);

    ada.get("/v1/session").await.expect(200);
    ada.mint(&json!({})).await.expect(200);
}

/// A token with the claims of a session that stands, signed by a key that is not the broker's.
fn forged(broker: &TestBroker, ada: &agentkeys_testing::Person) -> String {
    let stranger = SessionIssuer::new(Es256Key::generate(Purpose::Session).unwrap()).unwrap();
    let now = broker.clock().now().as_unix();
    let claims = SessionTokenClaims {
        iss: broker.url(""),
        aud: agentkeys_crypto::AUDIENCE.to_owned(),
        sub: ada.account(),
        sid: ada.session_id().parse().unwrap(),
        iat: now,
        exp: now + 60,
        auth_time: now,
        idt: IdentityType::Email,
        cnf: None,
    };
    stranger.issue(&claims).unwrap().expose().to_owned()
}
