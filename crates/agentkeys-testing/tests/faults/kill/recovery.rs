use agentkeys_testing::Answer;
use reqwest::Method;
use serde_json::json;

use super::ledger::{Kept, Use};
use crate::client::{Client, SignedIn};

/// Checks with a client's eyes that the servers still know all that they acknowledged.
pub(super) async fn check(client: &Client, kept: &mut Kept) {
    for who in kept.standing.values() {
        stands(client, who).await;
    }
    for who in &kept.revoked {
        is_revoked(client, who).await;
    }
    for (address, who) in &kept.linked {
        assert!(links(client, who).await.contains(address), "{address} is no longer linked");
    }
    for (address, who) in &kept.unlinked {
        assert!(!links(client, who).await.contains(address), "{address} is linked again");
    }
    for (request_id, (code, state)) in &mut kept.codes {
        for _ in 0..2 {
            works_once(&client.verify_code(request_id, code).await.unwrap(), state, (410, "code_expired"));
        }
    }
    for (challenge, state) in kept.challenges.values_mut() {
        for _ in 0..2 {
            works_once(&client.answer(challenge).await.unwrap(), state, (401, "challenge_invalid"));
        }
    }
}

async fn stands(client: &Client, who: &SignedIn) {
    let answer = client.get("/v1/sessions", &who.token).await.unwrap().expect(200);
    let listed = answer.body["sessions"].as_array().unwrap();
    assert!(listed.iter().any(|session| session["session_id"] == who.session_id.as_str()), "{answer:?}");
}

async fn is_revoked(client: &Client, who: &SignedIn) {
    let question = client.broker(Method::POST, "/v1/sessions/standing").json(&json!({"session_id": who.session_id}));

    assert_eq!(client.get("/v1/session", &who.token).await.unwrap().refusal(), (401, "token_revoked"));
    assert_eq!(client.send(question).await.unwrap().expect(200).body["standing"], false);
    assert_eq!(client.sign(who, b"hello").await.unwrap().refusal(), (401, "token_revoked"));
}

async fn links(client: &Client, who: &SignedIn) -> Vec<String> {
    let answer = client.get("/v1/wallet/links", &who.token).await.unwrap().expect(200);
    let links = answer.body["links"].as_array().unwrap();
    links.iter().map(|link| link["address"].as_str().unwrap().to_owned()).collect()
}

/// Judges one more use of a one-time item, which is used up afterwards.
fn works_once(answer: &Answer, state: &mut Use, used_up: (u16, &str)) {
    let worked = answer.status == 200;
    match state {
        Use::Open => assert!(worked, "what was acknowledged does not work: {answer:?}"),
        Use::Doubtful => assert!(worked || answer.refusal() == used_up, "{answer:?}"),
        Use::Done => assert_eq!(answer.refusal(), used_up, "it worked twice"),
    }
    *state = Use::Done;
}
