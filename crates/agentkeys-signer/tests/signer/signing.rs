//! `POST /dev/derive-address` and `POST /dev/sign-message`, once the caller is let in.

use std::sync::atomic::Ordering;

use agentkeys_api::{ErrorCode, paths};
use serde_json::{Value, json};

use crate::bench::{ADA, Bench, GRACE, outcome, problem};

fn vectors() -> Vec<(String, String, String)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let text = |account: &Value, field: &str| account[field].as_str().unwrap().to_owned();
    let accounts = vectors["accounts"].as_array().unwrap();
    accounts.iter().map(|one| (text(one, "omni_account"), text(one, "wallet"), text(one, "hello_signature"))).collect()
}

#[tokio::test]
async fn the_published_accounts_have_their_wallets_and_signatures() {
    let bench = Bench::start().await;
    let vectors = vectors();
    assert!(vectors.len() >= 2);

    for (account, wallet, signature) in vectors {
        let token = bench.session(&account);

        assert_eq!(bench.derive(&token, &account).await, Ok(json!({"address": wallet})));
        assert_eq!(bench.sign(&token, &account, b"hello").await, Ok(json!({"signature": signature})));
    }
}

#[tokio::test]
async fn the_same_message_has_the_same_signature_also_after_a_restart() {
    let bench = Bench::start().await;
    let before = bench.sign(&bench.session(ADA), ADA, b"again").await.unwrap();

    let bench = bench.restart().await;
    let after = bench.sign(&bench.session(ADA), ADA, b"again").await.unwrap();

    assert_eq!(before, after);
}

#[tokio::test]
async fn account_and_message_are_taken_with_a_prefix_and_in_upper_case() {
    let bench = Bench::start().await;
    let token = bench.session(ADA);
    let plain = bench.sign(&token, ADA, b"hello").await;

    let account = format!("0x{}", ADA.to_uppercase());
    let body = json!({"omni_account": account, "message_hex": "0x68656C6C6F"});

    assert_eq!(outcome(bench.post(paths::SIGN_MESSAGE, &token, &body)).await, plain);
}

#[tokio::test]
async fn a_message_is_one_byte_to_16_kib_of_hex() {
    let bench = Bench::start().await;
    let token = bench.session(ADA);
    let longest = "00".repeat(16 * 1024);
    let too_long = format!("{longest}00");
    for message in [json!("00"), json!(longest), json!(format!("0x{longest}"))] {
        let body = json!({"omni_account": ADA, "message_hex": message});
        assert!(outcome(bench.post(paths::SIGN_MESSAGE, &token, &body)).await.is_ok());
    }
    for message in
        [json!(""), json!("0x"), json!("0"), json!("zz"), json!(too_long), json!(null), json!(7), json!(["00"])]
    {
        let body = json!({"omni_account": ADA, "message_hex": message});
        let refused = outcome(bench.post(paths::SIGN_MESSAGE, &token, &body)).await;
        assert_eq!(refused, Err(ErrorCode::InvalidMessageHex), "{message:.20}");
    }
    let absent = outcome(bench.post(paths::SIGN_MESSAGE, &token, &json!({"omni_account": ADA}))).await;
    assert_eq!(absent, Err(ErrorCode::InvalidMessageHex));
}

#[tokio::test]
async fn an_account_is_64_hex_digits() {
    let bench = Bench::start().await;
    let token = bench.session(ADA);
    for account in [json!(&ADA[1..]), json!(format!("{ADA}0")), json!(""), json!("g".repeat(64)), json!(null), json!(1)]
    {
        for path in [paths::DERIVE_ADDRESS, paths::SIGN_MESSAGE] {
            let mut body = json!({"omni_account": account});
            if path == paths::SIGN_MESSAGE {
                body["message_hex"] = json!("00");
            }
            assert_eq!(
                outcome(bench.post(path, &token, &body)).await,
                Err(ErrorCode::InvalidOmniAccount),
                "{path} {account}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_exactly_the_request_is_refused() {
    let bench = Bench::start().await;
    let token = bench.session(ADA);
    let with = |content_type: &str, body: String| {
        let request = reqwest::Client::new().post(bench.url(paths::SIGN_MESSAGE)).bearer_auth(&token);
        outcome(request.header("content-type", content_type).body(body))
    };
    let right = format!(r#"{{"omni_account":"{ADA}","message_hex":"00"}}"#);
    let json = "application/json";

    assert!(with("application/json; charset=utf-8", right.clone()).await.is_ok());
    assert_eq!(with("text/plain", right.clone()).await, Err(ErrorCode::UnsupportedMediaType));
    assert_eq!(with(json, right[1..].to_owned()).await, Err(ErrorCode::InvalidJson));
    assert_eq!(with(json, format!("{right} ")).await.map(drop), Ok(()));
    assert_eq!(with(json, format!("{right}x")).await, Err(ErrorCode::InvalidJson));
    assert_eq!(with(json, right.replace('}', r#","admin":true}"#)).await, Err(ErrorCode::UnknownField));
    assert_eq!(with(json, right.replace('}', r#","message_hex":"01"}"#)).await, Err(ErrorCode::DuplicateField));
    assert_eq!(with(json, format!("{{\"a\":{}", "[".repeat(10_000))).await, Err(ErrorCode::JsonTooComplex));
    assert_eq!(with(json, format!("{right}{}", " ".repeat(64 * 1024))).await, Err(ErrorCode::BodyTooLarge));
}

#[tokio::test]
async fn nobody_reaches_the_wallet_of_another_account() {
    let bench = Bench::start().await;
    let ada = bench.session(ADA);

    assert_eq!(bench.derive(&ada, GRACE).await, Err(ErrorCode::AccountMismatch));
    assert_eq!(bench.sign(&ada, GRACE, b"hello").await, Err(ErrorCode::AccountMismatch));
    assert_eq!(agentkeys_signer::signing_log::verify(&bench.log()).unwrap().entries, 0);
}

#[tokio::test]
async fn without_a_master_secret_nothing_else_about_a_request_is_looked_at() {
    let bench = Bench::start().await;
    bench.keys.disabled.store(true, Ordering::SeqCst);
    bench.broker.unreachable.store(true, Ordering::SeqCst);
    let client = reqwest::Client::new();

    for path in [paths::DERIVE_ADDRESS, paths::SIGN_MESSAGE] {
        let url = bench.url(path);
        for request in [
            client.post(&url),
            client.post(&url).bearer_auth("aks_rubbish").body("rubbish"),
            client.post(&url).header("authorization", "a").header("authorization", "b"),
            client.post(&url).body("x".repeat(100_000)),
            bench.post(path, &bench.session(ADA), &json!({"omni_account": ADA})),
        ] {
            let refused = problem(request.send().await.unwrap()).await;
            assert_eq!(refused.error, ErrorCode::SignerDisabled, "{path}");
        }
    }
    assert_eq!(outcome(bench.get(paths::HEALTHZ)).await, Ok(json!({"status": "ok"})));
    assert_eq!(outcome(bench.get(paths::ATTESTATION)).await, Err(ErrorCode::NotAttested));
}
