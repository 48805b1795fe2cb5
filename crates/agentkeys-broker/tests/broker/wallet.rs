//! `/v1/wallet/link`, `/v1/wallet/links`, `/v1/auth/wallet/start` and `/verify`.

use std::time::Duration;

use agentkeys_testing::TestBroker;
use serde_json::json;

use crate::email::futures;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_linked_wallet_waits_for_its_proof_and_linking_again_changes_nothing() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;

    let first = ada.link_wallet().await.expect(201);
    let second = ada.link_wallet().await.expect(200);

    assert_eq!(first.body, json!({"address": ada.address(), "status": "pending"}));
    assert_eq!(second.body, first.body);
}

#[tokio::test]
async fn the_challenge_is_the_eip_4361_message_and_names_the_account() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    ada.link_wallet().await;

    let (_, message) = ada.challenge().await;

    let host = broker.running().address();
    let nonce = message.split("Nonce: ").nth(1).unwrap().lines().next().unwrap();
    assert!(nonce.len() >= 17 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{nonce}");
    assert_eq!(
        message,
        format!(
            "{host} wants you to sign in with your Ethereum account:\n{}\n\nProve this wallet for your AgentKeys account.\n\n\
             URI: http://{host}\nVersion: 1\nChain ID: 1\nNonce: {nonce}\nIssued At: 2026-12-22T10:00:00Z\n\
             Expiration Time: 2026-12-22T10:05:00Z\nResources:\n- urn:agentkeys:account:{}",
            ada.address(),
            ada.account()
        )
    );
}

#[tokio::test]
async fn a_proved_wallet_opens_a_wallet_session_of_ten_minutes() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    ada.link_wallet().await;
    let (request_id, message) = ada.challenge().await;

    let proved = ada.answer_challenge(&request_id, &ada.sign(&message)).await.expect(200);

    assert_eq!(proved.text("account"), ada.account().to_string());
    assert_eq!(proved.text("address"), ada.address());
    assert_eq!(proved.text("expires_at"), "2026-12-22T10:10:00Z");
    assert_eq!(proved.body["identity"], json!({"type": "evm", "value": ada.address().to_lowercase()}));
    assert_eq!(ada.link_wallet().await.expect(200).text("status"), "proved");
}

#[tokio::test]
async fn a_broker_that_was_restarted_takes_the_answer() {
    let broker = TestBroker::start().await;
    let mut ada = broker.sign_in("ada").await;
    ada.link_wallet().await;
    let (request_id, message) = ada.challenge().await;

    let broker = broker.restart().await;
    ada.visit(broker.url(""));

    ada.answer_challenge(&request_id, &ada.sign(&message)).await.expect(200);
}

#[tokio::test]
async fn a_challenge_is_used_up_by_its_first_right_answer_of_64_at_once() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    ada.link_wallet().await;
    let (request_id, message) = ada.challenge().await;
    let signature = ada.sign(&message);

    let answers = futures((0..64).map(|_| ada.answer_challenge(&request_id, &signature))).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.refusal(), (200, "") | (401, "challenge_invalid"))));
}

#[tokio::test]
async fn a_wrong_signature_uses_nothing_up_but_the_fifth_one_does() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    ada.link_wallet().await;
    let (request_id, message) = ada.challenge().await;
    let wrong = ada.sign("127.0.0.1:1 wants you to sign in with your Ethereum account:");

    for _ in 0..4 {
        assert_eq!(ada.answer_challenge(&request_id, &wrong).await.refusal(), (401, "invalid_signature"));
    }
    ada.answer_challenge(&request_id, &ada.sign(&message)).await.expect(200);

    let (request_id, message) = ada.challenge().await;
    for _ in 0..5 {
        assert_eq!(ada.answer_challenge(&request_id, &wrong).await.refusal(), (401, "invalid_signature"));
    }
    assert_eq!(ada.answer_challenge(&request_id, &ada.sign(&message)).await.refusal(), (401, "challenge_invalid"));
}

#[tokio::test]
async fn malformed_signatures_have_their_own_codes_and_count_for_nothing() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    ada.link_wallet().await;
    let (request_id, message) = ada.challenge().await;
    let good = ada.sign(&message);

    for bad in [&good[..130], &format!("{good}00"), &good[..131], &format!("{}1d", &good[..130]), "", "0x", "hello"] {
        let answer = ada.answer_challenge(&request_id, bad).await;
        assert_eq!(answer.refusal(), (400, "invalid_signature_format"), "{bad}");
    }
    let contract = format!("0x{}{}", "00".repeat(96), "6492".repeat(16));
    assert_eq!(ada.answer_challenge(&request_id, &contract).await.refusal(), (400, "unsupported_signature_type"));

    ada.answer_challenge(&request_id, &good).await.expect(200);
}

#[tokio::test]
async fn a_challenge_is_over_after_five_minutes_also_when_the_clock_steps_back() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    ada.link_wallet().await;
    let (request_id, message) = ada.challenge().await;

    broker.clock().advance(5 * MINUTE);
    assert_eq!(ada.answer_challenge(&request_id, &ada.sign(&message)).await.refusal(), (410, "challenge_expired"));
    broker.clock().step_back(4 * MINUTE);

    assert_eq!(ada.answer_challenge(&request_id, &ada.sign(&message)).await.refusal(), (410, "challenge_expired"));
}

#[tokio::test]
async fn only_the_session_that_asked_may_answer() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let other = broker.sign_in("ada").await;
    ada.link_wallet().await;
    let (request_id, message) = ada.challenge().await;

    let stolen = other.answer_challenge(&request_id, &ada.sign(&message)).await;
    let unknown = ada.answer_challenge(&"ab".repeat(32), &ada.sign(&message)).await;

    assert_eq!(stolen.refusal(), (401, "challenge_invalid"));
    assert_eq!(unknown.refusal(), (401, "challenge_invalid"));
}

#[tokio::test]
async fn a_wallet_that_is_not_linked_gets_no_challenge() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;

    let answer = ada.post("/v1/auth/wallet/start", &json!({"address": ada.address()})).await;

    assert_eq!(answer.refusal(), (404, "wallet_not_linked"));
}

#[tokio::test]
async fn a_wallet_proved_for_one_account_is_taken_for_another() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let mallory = broker.sign_in("mallory").await;
    let address = json!({"address": ada.address()});
    mallory.post("/v1/wallet/link", &address).await.expect(201);
    let challenge = mallory.post("/v1/auth/wallet/start", &address).await.expect(200);
    let ada = ada.prove_wallet().await;

    // Even with a signature that Ada was tricked into.
    let signature = ada.sign(challenge.text("siwe_message"));
    let answer = mallory.answer_challenge(challenge.text("request_id"), &signature).await;

    assert_eq!(answer.refusal(), (409, "wallet_taken"));
    assert!(!answer.body["detail"].as_str().unwrap().contains(&ada.account().to_string()));
}

#[tokio::test]
async fn an_unlinked_wallet_takes_its_wallet_sessions_with_it() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await.prove_wallet().await;
    ada.mint(&json!({})).await.expect(200);

    ada.delete(&format!("/v1/wallet/link/{}", ada.address())).await.expect(204);

    assert_eq!(ada.mint(&json!({})).await.refusal(), (401, "token_revoked"));
    assert_eq!(ada.delete(&format!("/v1/wallet/link/{}", ada.address())).await.refusal(), (404, "wallet_not_linked"));
    assert_eq!(ada.get("/v1/wallet/links").await.expect(200).body, json!({"links": []}));
}

#[tokio::test]
async fn a_wallet_that_is_proved_anew_counts_at_once_and_its_old_sessions_stay_ended() {
    let broker = TestBroker::start().await;
    let mut ada = broker.sign_in_unbound("ada").await.prove_wallet().await;
    ada.delete(&format!("/v1/wallet/link/{}", ada.address())).await.expect(204);
    let old = ada.wallet_token().to_owned();
    assert_eq!(ada.mint(&json!({})).await.refusal(), (401, "token_revoked"));

    broker.clock().advance(Duration::from_secs(1));
    ada = ada.prove_wallet().await;

    ada.mint(&json!({})).await.expect(200);
    let again = broker.http().post(broker.url("/v1/mint-oidc-jwt")).bearer_auth(old).json(&json!({}));
    assert_eq!(again.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn malformed_addresses_and_chains_are_refused() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in_unbound("ada").await;
    ada.link_wallet().await;
    let good = ada.address();
    let mut wrong_checksum: Vec<char> = good.chars().collect();
    let letter = wrong_checksum.iter().rposition(char::is_ascii_alphabetic).unwrap();
    wrong_checksum[letter] = if good.as_bytes()[letter].is_ascii_lowercase() {
        wrong_checksum[letter].to_ascii_uppercase()
    } else {
        wrong_checksum[letter].to_ascii_lowercase()
    };
    let wrong_checksum: String = wrong_checksum.into_iter().collect();

    for address in [wrong_checksum.as_str(), &good[..41], &format!("{good}0"), &good.replace("0x", "0X"), "ada.eth", ""]
    {
        let answer = ada.post("/v1/wallet/link", &json!({"address": address})).await;
        assert_eq!(answer.refusal(), (400, "invalid_address"), "{address}");
    }
    for chain in
        [json!(0), json!("1"), json!(1.5), json!(18_446_744_073_709_551_615_u64), json!(2), json!(-1), json!([1])]
    {
        let answer = ada.post("/v1/auth/wallet/start", &json!({"address": good, "chain_id": chain})).await;
        assert_eq!(answer.refusal(), (400, "invalid_chain_id"), "{chain}");
    }
    let too_large = format!(r#"{{"address":"{good}","chain_id":18446744073709551616}}"#);
    let answer = broker.http().post(broker.url("/v1/auth/wallet/start")).bearer_auth(ada.token());
    let answer = answer.header("content-type", "application/json").body(too_large).send().await.unwrap();
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["error"], "invalid_chain_id");
}
