//! `POST /v1/mint-oidc-jwt`.

use agentkeys_store::{AuditStore, SqliteStore, verify_chain};
use agentkeys_testing::TestBroker;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

#[tokio::test]
async fn a_proved_wallet_gets_a_token_for_the_cloud() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;

    let minted = ada.mint(&json!({})).await.expect(200);

    assert_eq!(minted.text("address"), ada.address());
    assert_eq!(minted.text("expires_at"), "2026-12-22T10:05:00Z");
    let (header, claims) = read(minted.text("jwt"));
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("ES256"), Some("JWT")));
    let wallet = ada.address().to_lowercase();
    assert_eq!(claims["sub"], format!("wallet:{wallet}"));
    assert_eq!(claims["aud"], "sts.amazonaws.com");
    assert_eq!(claims["iss"], broker.url("").as_str());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert_eq!(claims["nbf"], claims["iat"]);
    assert_eq!(
        claims["https://aws.amazon.com/tags"],
        json!({
            "principal_tags": {
                "agentkeys_user_wallet": [wallet],
                "agentkeys_account": [ada.account().to_string()],
                "agentkeys_session": [ada.session_id()],
            },
            "transitive_tag_keys": ["agentkeys_user_wallet", "agentkeys_account", "agentkeys_session"],
        })
    );
}

#[tokio::test]
async fn the_30_day_token_mints_nothing() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;

    let answer = ada.post("/v1/mint-oidc-jwt", &json!({})).await;

    assert_eq!(answer.refusal(), (403, "wallet_session_required"));
}

#[tokio::test]
async fn an_audience_must_be_on_the_list_and_nothing_else_can_be_asked_for() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;

    for audience in [json!("evil.example"), json!(""), json!(["sts.amazonaws.com"]), json!("STS.amazonaws.com")] {
        let answer = ada.mint(&json!({"audience": audience})).await;
        assert_eq!(answer.refusal(), (400, "audience_not_allowed"), "{audience}");
    }
    for field in ["sub", "iss", "https://aws.amazon.com/tags", "exp"] {
        assert_eq!(ada.mint(&json!({field: "x"})).await.refusal(), (400, "unknown_field"), "{field}");
    }
    assert_eq!(ada.mint(&json!({"agent": "nobody"})).await.refusal(), (400, "agent_unknown"));
    ada.mint(&json!({"audience": "sts.amazonaws.com"})).await.expect(200);
}

#[tokio::test]
async fn every_mint_is_recorded_before_its_jwt_leaves() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;

    let minted = ada.mint(&json!({})).await.expect(200);

    let (_, claims) = read(minted.text("jwt"));
    let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
    let entries = store.entries_after(0, 100).await.unwrap();
    let last = entries.last().unwrap();
    assert_eq!(last.action, "mint_oidc_jwt");
    assert!(last.subject.contains(claims["jti"].as_str().unwrap()), "{}", last.subject);
    assert_eq!(last.account, Some(ada.account()));
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["sign_in", "link_wallet", "prove_wallet", "mint_oidc_jwt"]);
    verify_chain([0; 32], &entries).unwrap();
}

#[tokio::test]
async fn an_account_mints_no_more_than_its_limit() {
    let broker = TestBroker::start_with(|config| config.limits.mints_per_account_and_minute = 3).await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let grace = broker.sign_in("grace").await.prove_wallet().await;
    for _ in 0..3 {
        ada.mint(&json!({})).await.expect(200);
    }

    let fourth = ada.mint(&json!({})).await;

    assert_eq!(fourth.refusal(), (429, "rate_limited"));
    assert_eq!(fourth.headers["retry-after"], "60");
    grace.mint(&json!({})).await.expect(200);
    broker.clock().advance(std::time::Duration::from_mins(1));
    ada.mint(&json!({})).await.expect(200);
}

pub(crate) fn read(jwt: &str) -> (Value, Value) {
    let part = |index| {
        let encoded = jwt.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
    };
    (part(0), part(1))
}
