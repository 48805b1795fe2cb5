//! `/v1/agents`, and what is minted for an agent.

use std::time::Duration;

use agentkeys_store::{AuditStore, SqliteStore, verify_chain};
use agentkeys_testing::TestBroker;
use serde_json::{Value, json};

use crate::mint_oidc_jwt::read;

const AWS: &str = "sts.amazonaws.com";
const VAULT: &str = "https://vault.example.com";
const MINUTE: Duration = Duration::from_mins(1);

async fn start() -> TestBroker {
    TestBroker::start_with(|config| {
        config.audiences.insert(VAULT.to_owned());
    })
    .await
}

#[tokio::test]
async fn a_new_agent_is_for_aws_and_never_ends_unless_somebody_says_so() {
    let broker = start().await;
    let ada = broker.sign_in("ada").await;

    let plain = ada.put("/v1/agents/claude", &json!({})).await.expect(201);
    let asked = json!({"audiences": [VAULT, AWS, VAULT], "expires_at": "2026-12-22T11:00:00Z"});
    let narrow = ada.put("/v1/agents/ci-bot-7", &asked).await.expect(201);

    let created = "2026-12-22T10:00:00Z";
    assert_eq!(plain.body, json!({"name": "claude", "audiences": [AWS], "created_at": created}));
    let expected = json!({
        "name": "ci-bot-7", "audiences": [VAULT, AWS], "created_at": created, "expires_at": "2026-12-22T11:00:00Z",
    });
    assert_eq!(narrow.body, expected);
    let listed = ada.get("/v1/agents").await.expect(200);
    assert_eq!(listed.body, json!({"agents": [narrow.body, plain.body]}));
}

#[tokio::test]
async fn an_agent_that_exists_may_have_from_now_on_what_was_put_last() {
    let broker = start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    ada.put("/v1/agents/claude", &json!({"audiences": [AWS, VAULT]})).await.expect(201);
    ada.mint(&json!({"agent": "claude"})).await.expect(200);
    broker.clock().advance(MINUTE);

    let changed = ada.put("/v1/agents/claude", &json!({"audiences": [VAULT]})).await.expect(200);
    let again = ada.put("/v1/agents/claude", &json!({"audiences": [VAULT]})).await.expect(200);

    let expected = json!({"name": "claude", "audiences": [VAULT], "created_at": "2026-12-22T10:00:00Z"});
    assert_eq!((&changed.body, &again.body), (&expected, &expected));
    assert_eq!(ada.mint(&json!({"agent": "claude"})).await.refusal(), (403, "agent_not_allowed"));
    ada.mint(&json!({"agent": "claude", "audience": VAULT})).await.expect(200);
}

#[tokio::test]
async fn a_jwt_for_an_agent_names_it_beside_the_wallet() {
    let broker = start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    ada.put("/v1/agents/claude", &json!({"audiences": [VAULT]})).await.expect(201);

    let minted = ada.mint(&json!({"agent": "claude", "audience": VAULT})).await.expect(200);
    let own = ada.mint(&json!({"audience": VAULT})).await.expect(200);

    let (claims, own) = (read(minted.text("jwt")).1, read(own.text("jwt")).1);
    let wallet = ada.address().to_lowercase();
    assert_eq!(claims["act"], json!({"sub": "agent:claude"}));
    assert_eq!((claims["sub"].as_str(), claims["aud"].as_str()), (own["sub"].as_str(), Some(VAULT)));
    assert_eq!(
        claims["https://aws.amazon.com/tags"],
        json!({
            "principal_tags": {
                "agentkeys_user_wallet": [wallet],
                "agentkeys_account": [ada.account().to_string()],
                "agentkeys_session": [ada.session_id()],
                "agentkeys_agent": ["claude"],
            },
            "transitive_tag_keys":
                ["agentkeys_user_wallet", "agentkeys_account", "agentkeys_session", "agentkeys_agent"],
        })
    );
    assert_eq!(own.get("act"), None);
    assert!(!own.to_string().contains("agentkeys_agent"), "{own}");
}

#[tokio::test]
async fn a_revoked_agent_gets_nothing_at_once_at_any_broker() {
    let broker = start().await;
    let sibling = broker.start_sibling().await;
    let mut ada = broker.sign_in("ada").await.prove_wallet().await;
    ada.put("/v1/agents/claude", &json!({})).await.expect(201);
    for broker in [&sibling, &broker] {
        ada.visit(broker.url(""));
        ada.mint(&json!({"agent": "claude"})).await.expect(200);
    }

    ada.delete("/v1/agents/claude").await.expect(204);

    for broker in [&broker, &sibling] {
        ada.visit(broker.url(""));
        assert_eq!(ada.mint(&json!({"agent": "claude"})).await.refusal(), (400, "agent_unknown"));
        assert_eq!(ada.get("/v1/agents").await.expect(200).body, json!({"agents": []}));
        assert_eq!(ada.delete("/v1/agents/claude").await.refusal(), (404, "not_found"));
        ada.mint(&json!({})).await.expect(200);
    }
}

#[tokio::test]
async fn an_agent_ends_at_its_expiry_and_no_jwt_for_it_ends_later() {
    let broker = start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    ada.put("/v1/agents/claude", &json!({"expires_at": "2026-12-22T10:08:00Z"})).await.expect(201);

    let first = ada.mint(&json!({"agent": "claude"})).await.expect(200);
    broker.clock().advance(5 * MINUTE);
    let second = ada.mint(&json!({"agent": "claude"})).await.expect(200);
    broker.clock().advance(3 * MINUTE);
    let third = ada.mint(&json!({"agent": "claude"})).await;

    assert_eq!(first.text("expires_at"), "2026-12-22T10:05:00Z");
    assert_eq!(second.text("expires_at"), "2026-12-22T10:08:00Z");
    let claims = read(second.text("jwt")).1;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 180);
    assert_eq!(third.refusal(), (400, "agent_unknown"));
    assert_eq!(ada.get("/v1/agents").await.expect(200).body["agents"][0]["name"], "claude");
    ada.put("/v1/agents/claude", &json!({})).await.expect(200);
    ada.mint(&json!({"agent": "claude"})).await.expect(200);
}

#[tokio::test]
async fn another_accounts_agents_are_neither_seen_nor_used_nor_changed() {
    let broker = start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let mallory = broker.sign_in("mallory").await.prove_wallet().await;
    ada.put("/v1/agents/claude", &json!({"audiences": [AWS, VAULT]})).await.expect(201);
    ada.put("/v1/agents/codex", &json!({})).await.expect(201);

    assert_eq!(mallory.get("/v1/agents").await.expect(200).body, json!({"agents": []}));
    assert_eq!(mallory.mint(&json!({"agent": "claude"})).await.refusal(), (400, "agent_unknown"));
    assert_eq!(mallory.delete("/v1/agents/claude").await.refusal(), (404, "not_found"));
    mallory.put("/v1/agents/claude", &json!({})).await.expect(201);
    mallory.delete("/v1/agents/claude").await.expect(204);

    ada.mint(&json!({"agent": "claude", "audience": VAULT})).await.expect(200);
    ada.mint(&json!({"agent": "codex"})).await.expect(200);
}

#[tokio::test]
async fn an_agent_gets_neither_what_the_person_nor_what_the_operator_withholds() {
    let broker = start().await;
    let mut ada = broker.sign_in("ada").await.prove_wallet().await;
    ada.put("/v1/agents/claude", &json!({"audiences": [VAULT]})).await.expect(201);

    for (body, refusal) in [
        (json!({"agent": "claude"}), (403, "agent_not_allowed")),
        (json!({"agent": "claude", "audience": AWS}), (403, "agent_not_allowed")),
        (json!({"agent": "claude", "audience": "evil.example"}), (400, "audience_not_allowed")),
        (json!({"agent": "nobody", "audience": VAULT}), (400, "agent_unknown")),
        (json!({"agent": "Claude", "audience": VAULT}), (400, "invalid_field")),
        (json!({"agent": "", "audience": VAULT}), (400, "invalid_field")),
        (json!({"agent": ["claude"], "audience": VAULT}), (400, "invalid_field")),
    ] {
        assert_eq!(ada.mint(&body).await.refusal(), refusal, "{body}");
    }

    let broker = broker.restart_with(|config| config.audiences.retain(|audience| audience != VAULT)).await;
    ada.visit(broker.url(""));
    let withheld = ada.mint(&json!({"agent": "claude", "audience": VAULT})).await;
    assert_eq!(withheld.refusal(), (400, "audience_not_allowed"));
}

#[tokio::test]
async fn what_cannot_be_an_agent_is_refused_and_changes_nothing() {
    let broker = start().await;
    let ada = broker.sign_in("ada").await;
    let long = "a".repeat(33);

    for name in ["Claude", "a_b", "a.b", "a%20b", "a%2Fb", "%C3%A4", "%ff", "%00", long.as_str()] {
        let path = format!("/v1/agents/{name}");
        assert_eq!(ada.put(&path, &json!({})).await.refusal(), (400, "invalid_field"), "{name}");
        assert_eq!(ada.delete(&path).await.refusal(), (400, "invalid_field"), "{name}");
    }
    let many: Vec<_> = (0..21).map(|number| format!("https://{number}.example.com")).collect();
    for audiences in
        [json!([]), json!(["evil.example"]), json!([AWS, "evil.example"]), json!(AWS), json!([AWS, 1]), json!(many)]
    {
        let answer = ada.put("/v1/agents/claude", &json!({"audiences": audiences})).await;
        assert_eq!(answer.refusal(), (400, "audience_not_allowed"), "{audiences}");
    }
    for expiry in [json!("2026-12-22T09:59:59Z"), json!("2026-12-22T10:00:00Z"), json!("tomorrow"), json!(1), json!([])]
    {
        let answer = ada.put("/v1/agents/claude", &json!({"expires_at": expiry})).await;
        assert_eq!(answer.refusal(), (400, "invalid_field"), "{expiry}");
    }
    for (field, value) in [("name", json!("claude")), ("account", json!(ada.account().to_string()))] {
        let answer = ada.put("/v1/agents/claude", &json!({field: value})).await;
        assert_eq!(answer.refusal(), (400, "unknown_field"), "{field}");
    }

    assert_eq!(ada.get("/v1/agents").await.expect(200).body, json!({"agents": []}));
}

#[tokio::test]
async fn an_account_has_no_more_agents_than_its_limit() {
    let broker = TestBroker::start_with(|config| config.limits.agents_per_account = 2).await;
    let ada = broker.sign_in("ada").await;
    let grace = broker.sign_in("grace").await;
    ada.put("/v1/agents/one", &json!({"expires_at": "2026-12-22T10:01:00Z"})).await.expect(201);
    ada.put("/v1/agents/two", &json!({})).await.expect(201);
    broker.clock().advance(MINUTE);

    let third = ada.put("/v1/agents/three", &json!({})).await;

    assert_eq!(third.refusal(), (409, "too_many_agents"));
    ada.put("/v1/agents/two", &json!({})).await.expect(200);
    grace.put("/v1/agents/three", &json!({})).await.expect(201);
    ada.delete("/v1/agents/one").await.expect(204);
    ada.put("/v1/agents/three", &json!({})).await.expect(201);
}

#[tokio::test]
async fn agents_and_their_person_share_the_limit_of_the_account() {
    let broker = TestBroker::start_with(|config| config.limits.mints_per_account_and_minute = 3).await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    for name in ["one", "two"] {
        ada.put(&format!("/v1/agents/{name}"), &json!({})).await.expect(201);
        ada.mint(&json!({"agent": name})).await.expect(200);
    }
    ada.mint(&json!({})).await.expect(200);

    let fourth = ada.mint(&json!({"agent": "one"})).await;

    assert_eq!(fourth.refusal(), (429, "rate_limited"));
    assert_eq!(fourth.headers["retry-after"], "60");
}

#[tokio::test]
async fn what_happens_to_an_agent_and_what_it_gets_is_recorded_with_its_name() {
    let broker = start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    let entries = async || {
        let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
        store.entries_after(0, 100).await.unwrap()
    };
    let before = entries().await.len();

    ada.put("/v1/agents/claude", &json!({})).await.expect(201);
    ada.put("/v1/agents/claude", &json!({})).await.expect(200);
    let minted = ada.mint(&json!({"agent": "claude"})).await.expect(200);
    ada.mint(&json!({"agent": "nobody"})).await;
    ada.put("/v1/agents/claude", &json!({"audiences": [VAULT]})).await.expect(200);
    ada.mint(&json!({"agent": "claude"})).await;
    ada.delete("/v1/agents/claude").await.expect(204);
    ada.delete("/v1/agents/claude").await;

    let recorded = entries().await;
    verify_chain([0; 32], &recorded).unwrap();
    let new = &recorded[before..];
    let actions: Vec<_> = new.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["grant_agent", "mint_oidc_jwt", "grant_agent", "revoke_agent"]);
    assert!(new.iter().all(|entry| entry.account == Some(ada.account())));
    let jti: Value = read(minted.text("jwt")).1["jti"].clone();
    let mint = format!("wallet:{} agent:claude aud:{AWS} jti:{}", ada.address().to_lowercase(), jti.as_str().unwrap());
    let subjects: Vec<_> = new.iter().map(|entry| entry.subject.as_str()).collect();
    assert_eq!(subjects, ["agent:claude", mint.as_str(), "agent:claude", "agent:claude"]);
}

#[tokio::test]
async fn discovery_says_that_a_jwt_may_name_an_agent() {
    let broker = start().await;

    let discovery = broker.get("/.well-known/openid-configuration").await.expect(200);

    assert!(discovery.body["claims_supported"].as_array().unwrap().contains(&json!("act")));
}
