//! Signing keys that change while everybody works.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use agentkeys_broker::Config;
use agentkeys_crypto::{Algorithm, KeyRing, RingName, Rotation};
use agentkeys_testing::{Answer, ManualClock, Person, TestBroker};
use agentkeys_types::Clock;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};

const JWKS: &str = "/.well-known/jwks.json";
const SESSION_KEYS: &str = "/v1/session-keys";

fn folder(broker: &TestBroker) -> PathBuf {
    broker.state().join("keys")
}

fn rotate_unseen(broker: &TestBroker) {
    let folder = folder(broker);
    let rotation = Rotation::begin(&folder, broker.clock().now()).unwrap();
    for name in RingName::ALL.into_iter().filter(|name| name.exists_in(&folder)) {
        rotation.rotate(name).unwrap();
    }
}

async fn rotate(broker: &TestBroker) {
    rotate_unseen(broker);
    broker.running().look_for_keys().await;
}

async fn kids(broker: &TestBroker, path: &str) -> Vec<String> {
    let set = broker.get(path).await.expect(200);
    set.body["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn mint(person: &Person) -> String {
    person.mint(&json!({})).await.expect(200).text("jwt").to_owned()
}

/// The kid of whatever key signed a token.
fn kid_of(token: &str) -> String {
    decode_header(token.trim_start_matches("aks_")).unwrap().kid.unwrap()
}

/// What a strict verifier that has fetched the keys of a broker makes of a JWT.
async fn verify(broker: &TestBroker, jwt: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let keys = reqwest::get(broker.url(JWKS)).await.unwrap().json::<JwkSet>().await.unwrap();
    let header = decode_header(jwt)?;
    let key = keys.find(&header.kid.unwrap()).ok_or(jsonwebtoken::errors::ErrorKind::InvalidKeyFormat)?;
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&["sts.amazonaws.com"]);
    validation.validate_exp = false; // the bench's clock is not this library's
    decode::<Value>(jwt, &DecodingKey::from_jwk(key)?, &validation).map(|decoded| decoded.claims)
}

#[tokio::test]
async fn what_was_signed_before_rotations_is_good_after_them() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let jwt = mint(&ada).await;

    for _ in 0..3 {
        rotate(&broker).await;
    }

    ada.get("/v1/session").await.expect(200);
    assert_ne!(kid_of(&mint(&ada).await), kid_of(&jwt));
    verify(&broker, &jwt).await.unwrap();
    let grace = broker.sign_in("grace").await;
    assert_ne!(kid_of(grace.token()), kid_of(ada.token()));
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after_it_has_signed() {
    let broker = TestBroker::start().await;
    let before = [kids(&broker, JWKS).await, kids(&broker, SESSION_KEYS).await];

    rotate(&broker).await;

    let after = [kids(&broker, JWKS).await, kids(&broker, SESSION_KEYS).await];
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.len(), after.len()), (2, 3));
        assert_eq!((&after[0], &after[2]), (&before[1], &before[0]));
    }
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    assert_eq!([kid_of(&mint(&ada).await), kid_of(ada.token())], after.map(|kids| kids[0].clone()));
}

#[tokio::test]
async fn two_brokers_accept_each_others_tokens_while_only_one_has_looked() {
    let broker = TestBroker::start().await;
    let sibling = broker.start_sibling().await;
    let url = sibling.url("");
    rotate_unseen(&broker);
    broker.running().look_for_keys().await;
    let published_by_sibling = kids(&sibling, JWKS).await;

    let mut ada = broker.sign_in("ada").await.prove_wallet().await;
    let new = mint(&ada).await;
    ada.visit(url);
    ada.get("/v1/session").await.expect(200);
    let at_sibling = mint(&ada).await;

    assert!(published_by_sibling.contains(&kid_of(&new)));
    for jwt in [&new, &at_sibling] {
        verify(&broker, jwt).await.unwrap();
        verify(&sibling, jwt).await.unwrap();
    }
}

#[tokio::test]
async fn previous_keys_are_dropped_when_nothing_that_they_signed_counts() {
    let broker = TestBroker::start().await;
    rotate(&broker).await;
    let counts = async || (kids(&broker, JWKS).await.len(), kids(&broker, SESSION_KEYS).await.len());
    let pass = async |time| {
        broker.clock().advance(time);
        broker.running().look_for_keys().await;
    };

    assert_eq!(counts().await, (3, 3));
    pass(Duration::from_mins(15)).await;
    assert_eq!(counts().await, (2, 3));
    pass(Duration::from_hours(30 * 24 + 1)).await;
    assert_eq!(counts().await, (2, 2));
}

#[tokio::test]
async fn what_a_leaked_key_signed_is_refused_once_it_is_replaced() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let jwt = mint(&ada).await;
    let folder = folder(&broker);

    let rotation = Rotation::begin(&folder, broker.clock().now()).unwrap();
    rotation.replace_leaked(RingName::Session).unwrap();
    rotation.replace_leaked(RingName::OidcEs256).unwrap();
    broker.running().look_for_keys().await;

    assert_eq!(ada.get("/v1/session").await.refusal(), (401, "token_invalid"));
    assert_eq!(ada.mint(&json!({})).await.refusal(), (401, "token_invalid"));
    verify(&broker, &jwt).await.unwrap_err();
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    verify(&broker, &mint(&ada).await).await.unwrap();
}

#[tokio::test]
async fn keys_that_cannot_be_read_leave_the_old_ones_in_use() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let before = kids(&broker, JWKS).await;
    rotate_unseen(&broker);
    let (file, aside) = (folder(&broker).join("oidc.pem"), folder(&broker).join("aside"));
    fs::rename(&file, &aside).unwrap();
    fs::copy(folder(&broker).join("session.pem"), &file).unwrap();

    broker.running().look_for_keys().await;
    let (kept, jwt) = (kids(&broker, JWKS).await, mint(&ada).await);
    fs::rename(&aside, &file).unwrap();
    broker.running().look_for_keys().await;

    assert_eq!(kept, before);
    assert_eq!(kid_of(&jwt), before[0]);
    assert_eq!(kids(&broker, JWKS).await[0], before[1]);
}

#[tokio::test]
async fn keys_that_vanish_stay_in_use_and_are_not_replaced() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let before = kids(&broker, JWKS).await;
    let aside = broker.state().join("aside");
    fs::rename(folder(&broker), &aside).unwrap();

    broker.running().look_for_keys().await;

    assert_eq!(kids(&broker, JWKS).await, before);
    assert_eq!(kid_of(&mint(&ada).await), before[0]);
    assert!(!folder(&broker).exists());
    fs::rename(&aside, folder(&broker)).unwrap();
    rotate(&broker).await;
    assert_eq!(kids(&broker, JWKS).await[0], before[1]);
}

#[tokio::test]
async fn a_broker_does_not_start_with_swapped_keys() {
    let broker = TestBroker::start().await;
    let at = |file: &str| folder(&broker).join(file);
    fs::rename(at("session.pem"), at("aside")).unwrap();
    fs::rename(at("oidc.pem"), at("session.pem")).unwrap();
    fs::rename(at("aside"), at("oidc.pem")).unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let state = broker.state().to_owned();
    let config = Config { state, listen, metrics_listen: listen, ..Config::default() };

    let refusal = agentkeys_broker::start(config, Arc::new(ManualClock::default())).await.unwrap_err().to_string();

    assert!(refusal.contains("session.pem holds a key for `oidc`, not for `session`"), "{refusal}");
}

#[tokio::test]
async fn jwts_by_rs256_verify_and_discovery_says_so() {
    let broker = TestBroker::start_with(|config| config.oidc_algorithm = Algorithm::Rs256).await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let before = mint(&ada).await;
    rotate(&broker).await;
    let after = mint(&ada).await;

    let discovery = broker.get("/.well-known/openid-configuration").await.expect(200);

    assert_eq!(discovery.body["id_token_signing_alg_values_supported"], json!(["RS256"]));
    for jwt in [&before, &after] {
        assert_eq!(decode_header(jwt).unwrap().alg, jsonwebtoken::Algorithm::RS256);
        assert_eq!(verify(&broker, jwt).await.unwrap()["sub"], format!("wallet:{}", ada.address().to_lowercase()));
    }
    assert_eq!(kinds(&broker.get(JWKS).await), ["RSA RS256", "RSA RS256", "RSA RS256"]);
    assert!(!folder(&broker).join("oidc.pem").exists());
}

#[tokio::test]
async fn the_keys_of_the_other_algorithm_come_after_those_of_the_chosen_one() {
    for (chosen, first, last) in
        [(Algorithm::Es256, "EC ES256", "RSA RS256"), (Algorithm::Rs256, "RSA RS256", "EC ES256")]
    {
        let broker = TestBroker::start_with(|config| config.oidc_algorithm = chosen).await;
        for name in [RingName::OidcEs256, RingName::OidcRs256] {
            KeyRing::open(&folder(&broker), name, broker.clock().now()).unwrap();
        }

        broker.running().look_for_keys().await;

        assert_eq!(kinds(&broker.get(JWKS).await), [first, first, last, last]);
        assert_eq!(kinds(&broker.get(SESSION_KEYS).await), ["EC ES256", "EC ES256"]);
    }
}

fn kinds(set: &Answer) -> Vec<String> {
    let kind = |key: &Value| format!("{} {}", key["kty"].as_str().unwrap(), key["alg"].as_str().unwrap());
    set.body["keys"].as_array().unwrap().iter().map(kind).collect()
}
