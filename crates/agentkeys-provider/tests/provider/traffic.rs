//! How often a provider is asked, whatever comes in.

use std::time::Duration;

use agentkeys_provider::ProviderError;
use agentkeys_testing::{Canned, Endpoint, KeyKind, Part};
use futures_util::future::join_all;
use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn many_who_sign_in_at_once_share_what_is_fetched() {
    let bench = Bench::start().await;

    let outcomes = join_all((0..64).map(|_| bench.sign_in())).await;

    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(bench.asked(), [1, 64, 1]);
}

#[tokio::test]
async fn a_new_key_is_fetched_once_when_it_is_first_seen() {
    let bench = Bench::start().await;
    bench.sign_in().await.unwrap();
    bench.provider.rotate_key(KeyKind::Es256);
    bench.clock.advance(Duration::from_secs(30));

    let outcomes = join_all((0..32).map(|_| bench.sign_in())).await;

    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(bench.asked(), [1, 33, 2]);
}

#[tokio::test]
async fn unknown_keys_are_asked_for_once_in_thirty_seconds() {
    let bench = Bench::start().await;
    bench.sign_in().await.unwrap();
    bench.provider.change(Part::Header, |header| header["kid"] = json!("key-of-mallory"));

    for expected in [1, 2, 2, 3] {
        let outcomes = join_all((0..32).map(|_| bench.sign_in())).await;

        assert!(outcomes.iter().all(|outcome| outcome == &Err(ProviderError::IdTokenInvalid)));
        assert_eq!(bench.provider.asked(Endpoint::Keys), expected);
        bench.clock.advance(Duration::from_secs(if expected == 1 { 30 } else { 15 }));
    }
}

#[tokio::test]
async fn keys_that_are_known_work_on_while_no_others_can_be_fetched() {
    let bench = Bench::start().await;
    bench.sign_in().await.unwrap();
    bench.provider.answer(Endpoint::Keys, Canned::Error(503, json!({})));
    bench.clock.advance(Duration::from_hours(2));

    assert!(bench.sign_in().await.is_ok());

    bench.clock.advance(Duration::from_hours(24));
    assert_eq!(bench.sign_in().await, Err(ProviderError::Unavailable));
}

#[tokio::test]
async fn a_key_that_was_taken_back_is_trusted_for_an_hour_at_most() {
    let bench = Bench::start().await;
    bench.sign_in().await.unwrap();
    bench.provider.rotate_key(KeyKind::Rs256);
    bench.provider.rotate_key(KeyKind::Es256);
    bench.provider.change(Part::Keys, |keys| {
        keys["keys"].as_array_mut().unwrap().remove(0);
    });

    bench.clock.advance(Duration::from_hours(1));

    assert_eq!(bench.sign_in().await, Err(ProviderError::IdTokenInvalid));
    assert_eq!(bench.provider.asked(Endpoint::Keys), 2);
}

#[tokio::test]
async fn a_provider_that_is_away_is_left_alone_for_some_seconds() {
    let bench = Bench::start().await;
    bench.provider.answer(Endpoint::Metadata, Canned::Error(503, json!({})));

    let outcomes = join_all((0..64).map(|_| bench.sign_in())).await;
    assert!(outcomes.iter().all(|outcome| outcome == &Err(ProviderError::Unavailable)));
    assert_eq!(bench.asked(), [1, 0, 0]);

    bench.provider.behave();
    assert_eq!(bench.sign_in().await, Err(ProviderError::Unavailable));
    bench.clock.advance(Duration::from_secs(5));
    assert!(bench.sign_in().await.is_ok());
}
