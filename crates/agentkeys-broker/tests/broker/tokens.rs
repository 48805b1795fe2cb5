//! Tokens that are not what they should be, at a route that takes any kind.

use agentkeys_crypto::{AUDIENCE, Es256Key, Purpose, SessionIssuer, SessionTokenClaims};
use agentkeys_testing::{Answer, TestBroker};
use agentkeys_types::{Clock, IdentityType};
use serde_json::json;

async fn present(broker: &TestBroker, token: &str) -> Answer {
    Answer::read(broker.http().get(broker.url("/v1/session")).bearer_auth(token).send().await.unwrap()).await
}

#[tokio::test]
async fn a_token_signed_by_a_strangers_key_is_refused() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in_unbound("ada").await;
    let stranger = SessionIssuer::new(Es256Key::generate(Purpose::Session).unwrap()).unwrap();
    let claims = SessionTokenClaims {
        iss: broker.url(""),
        aud: AUDIENCE.to_owned(),
        sub: ada.account(),
        sid: ada.session_id().parse().unwrap(),
        iat: broker.clock().now().as_unix(),
        exp: broker.clock().now().as_unix() + 60,
        auth_time: broker.clock().now().as_unix(),
        idt: IdentityType::Email,
        cnf: None,
    };

    let forged = stranger.issue(&claims).unwrap();

    let answer = present(&broker, forged.expose()).await;
    assert_eq!(answer.refusal(), (401, "token_invalid"));
    assert!(answer.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn an_oidc_jwt_is_no_session_token_with_or_without_its_prefix() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in_unbound("ada").await.prove_wallet().await;
    let minted = ada.mint(&json!({})).await.expect(200);

    for token in [minted.text("jwt").to_owned(), format!("aks_{}", minted.text("jwt"))] {
        assert_eq!(present(&broker, &token).await.refusal(), (401, "token_invalid"));
    }
}

#[tokio::test]
async fn altered_and_outsized_tokens_are_refused() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in_unbound("ada").await;
    let token = ada.token();
    let (signed, _) = token.rsplit_once('.').unwrap();

    for altered in
        [format!("{signed}."), signed.to_owned(), format!("{token}x"), token.replace("aks_", ""), "A".repeat(20 * 1024)]
    {
        assert_eq!(present(&broker, &altered).await.refusal(), (401, "token_invalid"), "{}", altered.len());
    }
    present(&broker, token).await.expect(200);
}

#[tokio::test]
async fn two_ways_of_authenticating_at_once_are_ambiguous() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in_unbound("ada").await;

    for second in [format!("Bearer {}", ada.token()), "DPoP x".to_owned()] {
        let request = broker.http().get(broker.url("/v1/session")).bearer_auth(ada.token());
        let answer = Answer::read(request.header("authorization", second).send().await.unwrap()).await;
        assert_eq!(answer.refusal(), (400, "ambiguous_auth"));
    }
}

#[tokio::test]
async fn a_token_in_the_url_is_refused_even_if_it_is_good() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in_unbound("ada").await;

    let answer = ada.get(&format!("/v1/session?access_token={}", ada.token())).await;

    assert_eq!(answer.refusal(), (400, "token_in_url"));
}

#[tokio::test]
async fn a_head_of_a_mebibyte_is_refused_without_falling_over() {
    let broker = TestBroker::start().await;

    let request = broker.http().get(broker.url("/v1/session")).bearer_auth("A".repeat(1 << 20));
    let refused = match request.send().await {
        Ok(answer) => answer.status().is_client_error(),
        Err(_) => true,
    };

    assert!(refused);
    broker.get("/healthz").await.expect(200);
}
