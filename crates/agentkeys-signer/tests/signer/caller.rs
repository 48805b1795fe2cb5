//! Who is let in, and what the broker is asked for it.

use std::{sync::atomic::Ordering, time::Duration};

use agentkeys_api::{ErrorCode, paths};
use agentkeys_crypto::{DeviceKey, SessionTokenClaims};
use agentkeys_types::{Clock, Timestamp, TokenDigest};
use serde_json::json;

use crate::bench::{ADA, Bench, new_issuer, outcome};

#[tokio::test]
async fn a_token_that_is_not_the_brokers_is_refused() {
    let bench = Bench::start().await;
    let right = bench.claims(ADA);
    let stranger = new_issuer().issue(&right).unwrap().expose().to_owned();
    let issuer = SessionTokenClaims { iss: "http://127.0.0.1:1".to_owned(), ..right.clone() };
    let audience = SessionTokenClaims { aud: "other".to_owned(), ..right };
    let (issuer, audience) = (bench.broker.issue(&issuer), bench.broker.issue(&audience));
    let long = format!("aks_{}", "a".repeat(20 * 1024 - 4));
    let good = bench.session(ADA);
    let stripped = good.rsplit_once('.').unwrap().0;

    for token in ["x", &stranger, &issuer, &audience, &long[..15_000], stripped, &good[4..]] {
        assert_eq!(bench.derive(token, ADA).await, Err(ErrorCode::TokenInvalid), "{token}");
    }
}

#[tokio::test]
async fn a_caller_shows_exactly_one_bearer_token() {
    let bench = Bench::start().await;
    let token = bench.session(ADA);
    let body = json!({"omni_account": ADA});
    let request = || reqwest::Client::new().post(bench.url(paths::DERIVE_ADDRESS)).json(&body);

    assert_eq!(outcome(request()).await, Err(ErrorCode::TokenMissing));
    assert_eq!(outcome(request().bearer_auth("")).await, Err(ErrorCode::TokenInvalid));
    assert_eq!(outcome(request().basic_auth("ada", Some("x"))).await, Err(ErrorCode::TokenInvalid));
    let twice = request().bearer_auth(&token).header("authorization", "DPoP x");
    assert_eq!(outcome(twice).await, Err(ErrorCode::AmbiguousAuth));
    let in_url = bench.post(&format!("{}?access_token=x", paths::DERIVE_ADDRESS), &token, &body);
    assert_eq!(outcome(in_url).await, Err(ErrorCode::TokenInUrl));
}

#[tokio::test]
async fn a_token_ends_with_its_time_although_it_was_recognised_before() {
    let bench = Bench::start().await;
    let token = bench.session(ADA);
    bench.derive(&token, ADA).await.unwrap();

    bench.clock.advance(30 * 24 * 3600 - 1);
    let just_before = bench.derive(&token, ADA).await;
    bench.clock.advance(1);

    assert!(just_before.is_ok());
    assert_eq!(bench.derive(&token, ADA).await, Err(ErrorCode::TokenExpired));
}

#[tokio::test]
async fn a_wallet_session_is_not_enough() {
    let bench = Bench::start().await;

    assert_eq!(bench.derive(&bench.wallet_session(ADA), ADA).await, Err(ErrorCode::SessionRequired));
}

#[tokio::test]
async fn a_revoked_session_is_out_within_five_seconds() {
    let bench = Bench::start().await;
    let claims = bench.claims(ADA);
    let token = bench.broker.issue(&claims);
    bench.derive(&token, ADA).await.unwrap();
    bench.broker.revoke(claims.sid);

    bench.clock.advance(4);
    let believed = bench.derive(&token, ADA).await;
    bench.clock.advance(1);
    let asked_again = bench.derive(&token, ADA).await;

    assert!(believed.is_ok());
    assert_eq!(asked_again, Err(ErrorCode::TokenRevoked));
    assert_eq!(bench.derive(&token, ADA).await, Err(ErrorCode::TokenRevoked));
}

#[tokio::test]
async fn a_revocation_is_known_at_once_while_the_session_is_in_use() {
    let bench = Bench::start().await;
    let claims = bench.claims(ADA);
    let token = bench.broker.issue(&claims);
    bench.derive(&token, ADA).await.unwrap();

    let refused = async {
        loop {
            // Again and again, because the question may be between two answers.
            bench.broker.revoke_and_tell(claims.sid);
            if let Err(code) = bench.derive(&token, ADA).await {
                return code;
            }
        }
    };
    let code = tokio::time::timeout(Duration::from_secs(1), refused).await;

    // The clock did not move: what was believed is not old.
    assert_eq!(code, Ok(ErrorCode::TokenRevoked));
}

#[tokio::test]
async fn a_token_that_was_replaced_is_out() {
    let bench = Bench::start().await;
    let (old, mut new) = (bench.claims(ADA), bench.claims(ADA));
    new.iat += 1;
    bench.broker.renew(Timestamp::from_unix(new.iat));

    assert_eq!(bench.derive(&bench.broker.issue(&old), ADA).await, Err(ErrorCode::TokenRevoked));
    assert!(bench.derive(&bench.broker.issue(&new), ADA).await.is_ok());
}

#[tokio::test]
async fn a_bound_token_needs_a_proof_for_this_signer() {
    let bench = Bench::start().await;
    let key = DeviceKey::generate().unwrap();
    let token = bench.bound_session(ADA, &key);
    let url = bench.url(paths::DERIVE_ADDRESS);
    let now = bench.clock.now();
    let nonce = bench.nonce(&token, &key).await;
    let prove = |key: &DeviceKey, url: &str, nonce: &str| {
        key.prove("POST", url, Some(TokenDigest::of(&token)), Some(nonce), now).unwrap()
    };
    let right = prove(&key, &url, &nonce);

    assert_eq!(bench.derive(&token, ADA).await, Err(ErrorCode::DpopRequired));
    for (proof, code) in [
        (prove(&DeviceKey::generate().unwrap(), &url, &nonce), ErrorCode::DpopInvalid),
        (prove(&key, "http://127.0.0.1:8470/dev/derive-address", &nonce), ErrorCode::DpopInvalid),
        (prove(&key, &bench.url(paths::SIGN_MESSAGE), &nonce), ErrorCode::DpopInvalid),
        (prove(&key, &url, "other"), ErrorCode::UseDpopNonce),
    ] {
        assert_eq!(bench.derive_proved(&token, &proof, ADA).await, Err(code), "{proof}");
    }
    assert!(bench.derive_proved(&token, &right, ADA).await.is_ok());
    assert_eq!(bench.derive_proved(&token, &right, ADA).await, Err(ErrorCode::DpopReplayed));
}

#[tokio::test]
async fn a_clock_that_steps_back_does_not_stretch_a_yes() {
    let bench = Bench::start().await;
    let claims = bench.claims(ADA);
    let token = bench.broker.issue(&claims);
    bench.derive(&token, ADA).await.unwrap();
    bench.broker.revoke(claims.sid);

    bench.clock.advance(-1);

    assert_eq!(bench.derive(&token, ADA).await, Err(ErrorCode::TokenRevoked));
}

#[tokio::test]
async fn a_broker_may_shorten_how_long_it_is_believed_and_not_lengthen_it() {
    for (valid_for, believed_after, asked_after) in [(2, 1, 2), (3600, 4, 5), (0, -1, 0)] {
        let bench = Bench::start().await;
        bench.broker.valid_for.store(valid_for, Ordering::SeqCst);
        let token = bench.session(ADA);
        bench.derive(&token, ADA).await.unwrap();
        bench.broker.unreachable.store(true, Ordering::SeqCst);

        if believed_after >= 0 {
            bench.clock.advance(believed_after);
            assert!(bench.derive(&token, ADA).await.is_ok(), "{valid_for}");
            bench.clock.advance(-believed_after);
        }
        bench.clock.advance(asked_after);
        assert_eq!(bench.derive(&token, ADA).await, Err(ErrorCode::BrokerUnreachable), "{valid_for}");
    }
}

#[tokio::test]
async fn the_broker_is_asked_once_for_all_who_come_together() {
    let bench = Bench::start().await;
    let token = bench.session(ADA);
    bench.derive(&token, ADA).await.unwrap();
    bench.clock.advance(5);
    bench.broker.asked_for_standing.store(0, Ordering::SeqCst);

    let mut callers = tokio::task::JoinSet::new();
    let bench = std::sync::Arc::new(bench);
    for _ in 0..32 {
        let (bench, token) = (bench.clone(), token.clone());
        callers.spawn(async move { bench.sign(&token, ADA, b"hello").await });
    }

    assert!(callers.join_all().await.iter().all(Result::is_ok));
    assert_eq!(bench.broker.asked_for_standing.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn while_no_keys_are_loaded_everyone_is_refused_and_then_let_in_without_a_restart() {
    let bench = Bench::start_alone().await;
    let token = bench.session(ADA);

    let refused = bench.derive(&token, ADA).await;
    let rubbish = bench.derive("aks_rubbish", ADA).await;
    bench.broker.unreachable.store(false, Ordering::SeqCst);
    let let_in = bench.derive(&token, ADA).await;

    assert_eq!((refused, rubbish), (Err(ErrorCode::BrokerUnreachable), Err(ErrorCode::BrokerUnreachable)));
    assert!(let_in.is_ok());
}

#[tokio::test]
async fn a_session_that_cannot_be_asked_about_is_refused() {
    let bench = Bench::start().await;
    let token = bench.session(ADA);
    bench.derive(&token, ADA).await.unwrap();
    bench.broker.unreachable.store(true, Ordering::SeqCst);
    bench.clock.advance(5);

    assert_eq!(bench.derive(&token, ADA).await, Err(ErrorCode::BrokerUnreachable));
    assert_eq!(bench.sign(&token, ADA, b"hello").await, Err(ErrorCode::BrokerUnreachable));
}

#[tokio::test]
async fn a_new_key_of_the_broker_is_found_and_a_dropped_one_forgotten() {
    let bench = Bench::start().await;
    let old = bench.session(ADA);
    bench.derive(&old, ADA).await.unwrap();
    bench.broker.rotate_keys();
    let new = bench.session(ADA);

    bench.clock.advance(5);
    let found = bench.derive(&new, ADA).await;

    assert!(found.is_ok());
    assert_eq!(bench.derive(&old, ADA).await, Err(ErrorCode::TokenInvalid));
}

#[tokio::test]
async fn a_dropped_key_is_forgotten_although_nobody_shows_a_newer_one() {
    let bench = Bench::start().await;
    let old = bench.session(ADA);
    bench.derive(&old, ADA).await.unwrap();
    bench.broker.rotate_keys();

    bench.clock.advance(60);

    assert_eq!(bench.derive(&old, ADA).await, Err(ErrorCode::TokenInvalid));
}

#[tokio::test]
async fn tokens_by_unknown_keys_make_the_broker_be_asked_once_in_five_seconds() {
    let bench = Bench::start().await;
    bench.derive(&bench.session(ADA), ADA).await.unwrap();
    bench.broker.asked_for_keys.store(0, Ordering::SeqCst);

    for second in 0..10 {
        let stranger = new_issuer().issue(&bench.claims(ADA)).unwrap();
        for token in [stranger.expose(), "aks_a.b.c"] {
            assert_eq!(bench.derive(token, ADA).await, Err(ErrorCode::TokenInvalid), "{second}");
        }
        bench.clock.advance(1);
    }

    assert!(bench.broker.asked_for_keys.load(Ordering::SeqCst) <= 2);
}
