//! What a relying party reads before it trusts a JWT.

use agentkeys_testing::TestBroker;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};

#[tokio::test]
async fn a_strict_verifier_that_starts_from_discovery_accepts_the_jwt() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let minted = ada.mint(&json!({})).await.expect(200);

    let discovery = broker.get("/.well-known/openid-configuration").await.expect(200);
    assert_eq!(discovery.text("issuer"), broker.url(""));
    let keys = reqwest::get(discovery.text("jwks_uri")).await.unwrap().json::<JwkSet>().await.unwrap();
    let kid = decode_header(minted.text("jwt")).unwrap().kid.unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["sts.amazonaws.com"]);
    validation.set_issuer(&[broker.url("")]);
    validation.validate_exp = false; // the bench's clock is not this library's
    let key = DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let decoded = decode::<Value>(minted.text("jwt"), &key, &validation).unwrap();

    assert_eq!(decoded.claims["sub"], format!("wallet:{}", ada.address().to_lowercase()));
}

#[tokio::test]
async fn the_two_key_sets_are_cacheable_hold_no_private_part_and_share_no_key() {
    let broker = TestBroker::start().await;

    let oidc = broker.get("/.well-known/jwks.json").await.expect(200);
    let session = broker.get("/v1/session-keys").await.expect(200);

    for set in [&oidc, &session] {
        assert_eq!(set.headers["cache-control"], "public, max-age=300");
        for key in set.body["keys"].as_array().unwrap() {
            assert!(key.get("d").is_none());
            assert_eq!((key["use"].as_str(), key["alg"].as_str()), (Some("sig"), Some("ES256")));
            assert!(key["x5c"][0].as_str().unwrap().starts_with("MII"));
        }
    }
    assert_ne!(oidc.body["keys"][0]["kid"], session.body["keys"][0]["kid"]);
}

#[tokio::test]
async fn the_keys_stay_the_same_over_a_restart() {
    let broker = TestBroker::start().await;
    let before = broker.get("/.well-known/jwks.json").await.body["keys"][0]["kid"].clone();

    let broker = broker.restart().await;

    assert_eq!(broker.get("/.well-known/jwks.json").await.body["keys"][0]["kid"], before);
}

#[tokio::test]
async fn the_issuer_never_reflects_another_host() {
    let broker = TestBroker::start().await;
    let discovery = broker.url("/.well-known/openid-configuration");

    let answer = broker.http().get(discovery).header("host", "evil.example").send().await.unwrap();

    assert_eq!(answer.status(), 421);
}
