//! What works, and what a sign-in gives.

use std::time::Duration;

use agentkeys_provider::{ProviderError, Reach};
use agentkeys_testing::{Canned, Endpoint, KeyKind, Part};
use agentkeys_types::{Identity, IdentityType};
use serde_json::json;

use crate::bench::{Bench, named_round_trip, round_trip};

#[tokio::test]
async fn whoever_signs_in_is_known_by_the_subject_and_shown_by_the_address() {
    let bench = Bench::start().await;

    let ada = bench.sign_in().await.unwrap();

    assert_eq!(ada.identity.identity_type(), &IdentityType::Oauth2("acme".parse().unwrap()));
    assert_eq!(ada.identity.value(), "ada");
    assert_eq!(ada.email.unwrap().as_str(), "ada@example.com");
    assert_eq!(bench.asked(), [1, 1, 1]);
}

#[tokio::test]
async fn a_second_sign_in_asks_for_nothing_but_the_token() {
    let bench = Bench::start().await;

    bench.sign_in().await.unwrap();
    bench.sign_in().await.unwrap();

    assert_eq!(bench.asked(), [1, 2, 1]);
}

#[tokio::test]
async fn a_token_may_be_signed_by_rsa() {
    let bench = Bench::start().await;
    bench.provider.rotate_key(KeyKind::Rs256);

    let ada = bench.sign_in().await.unwrap();

    assert_eq!(ada.identity.value(), "ada");
}

#[tokio::test]
async fn a_key_without_a_name_will_do_when_it_is_the_only_one() {
    let bench = Bench::start().await;
    bench.provider.change(Part::Header, |header| {
        header.as_object_mut().unwrap().remove("kid");
    });

    assert!(bench.sign_in().await.is_ok());

    bench.provider.rotate_key(KeyKind::Es256);
    bench.clock.advance(Duration::from_hours(1));
    assert_eq!(bench.sign_in().await, Err(ProviderError::IdTokenInvalid));
}

#[tokio::test]
async fn an_address_that_is_not_verified_or_none_is_not_shown() {
    let bench = Bench::start().await;

    for email in [None, Some(("ada@example.com", false)), Some(("not an address", true))] {
        bench.provider.sign_in_as("ada", email);

        assert_eq!(bench.sign_in().await.unwrap().email, None, "{email:?}");
    }
}

#[tokio::test]
async fn a_new_address_leaves_the_identity_as_it_is() {
    let bench = Bench::start().await;

    let before = bench.sign_in().await.unwrap();
    bench.provider.sign_in_as("ada", Some(("lovelace@example.com", true)));
    let after = bench.sign_in().await.unwrap();

    assert_eq!(before.identity, after.identity);
    assert_ne!(before.email, after.email);
}

#[tokio::test]
async fn subjects_are_taken_to_the_letter() {
    let bench = Bench::start().await;
    let longest = "s".repeat(255);

    for subject in ["ADA", "ada ", "auth0|5f7c8ec7c33c6c004bbafe82", &longest] {
        bench.provider.sign_in_as(subject, None);

        let expected = Identity::oauth2("acme".parse().unwrap(), subject).unwrap();
        assert_eq!(bench.sign_in().await.unwrap().identity, expected);
    }
}

#[tokio::test]
async fn the_secret_goes_by_basic_unless_the_provider_takes_the_body_alone() {
    let methods = [
        (json!(["client_secret_post"]), "client_secret_post"),
        (json!(["private_key_jwt", "client_secret_post"]), "client_secret_post"),
        (json!(["client_secret_post", "client_secret_basic"]), "client_secret_basic"),
        (json!(null), "client_secret_basic"),
    ];

    for (offered, used) in methods {
        let bench = Bench::start().await;
        bench.provider.change(Part::Metadata, move |metadata| {
            metadata["token_endpoint_auth_methods_supported"] = offered.clone();
        });

        bench.sign_in().await.unwrap();

        assert_eq!(bench.provider.authentication(), Some(used));
    }
}

#[tokio::test]
async fn a_public_client_shows_no_secret() {
    let bench = Bench::start_with(|settings| settings.client_secret = None).await;
    bench.provider.make_client_public();

    bench.sign_in().await.unwrap();

    assert_eq!(bench.provider.authentication(), Some("none"));
}

#[tokio::test]
async fn a_browser_is_sent_with_everything_that_ties_the_answer_to_the_question() {
    let bench = Bench::start_with(|settings| {
        settings.prompt = Some("select_account".to_owned());
        settings.scopes = vec!["groups".to_owned()];
    })
    .await;
    // RFC 7636 appendix B
    let round_trip = named_round_trip("the-state", "the-nonce", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");

    let url = bench.acme.authorization_url(&round_trip).await.unwrap();

    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "agentkeys"),
        ("redirect_uri", "http://127.0.0.1:1/v1/auth/callback/acme"),
        ("scope", "openid email groups"),
        ("state", "the-state"),
        ("nonce", "the-nonce"),
        ("prompt", "select_account"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ] {
        let said: Vec<_> = query.iter().filter(|(said, _)| said == name).map(|(_, said)| said.as_str()).collect();
        assert_eq!(said, [value], "{name}");
    }
    assert_eq!(query.len(), 9);
    assert!(!url.as_str().contains("dBjftJeZ4CVP"));
}

#[tokio::test]
async fn a_code_is_worth_nothing_with_the_verifier_of_another_round_trip() {
    let bench = Bench::start().await;
    let theirs = named_round_trip("state", "nonce-of-ada", &"verifier-of-mallory".repeat(3));

    let callback = bench.come_back(&round_trip()).await.unwrap();
    let outcome = bench.acme.exchange(&callback.code.unwrap(), callback.iss.as_deref(), &theirs).await;

    assert_eq!(outcome, Err(ProviderError::refused("invalid_grant", None)));
}

#[tokio::test]
async fn a_token_of_another_round_trip_is_refused() {
    let bench = Bench::start().await;
    let verifier = "verifier-of-ada-which-has-43-characters-or-more";
    let theirs = named_round_trip("state-of-ada", "nonce-of-mallory", verifier);

    let callback = bench.come_back(&round_trip()).await.unwrap();
    let outcome = bench.acme.exchange(&callback.code.unwrap(), callback.iss.as_deref(), &theirs).await;

    assert_eq!(outcome, Err(ProviderError::IdTokenInvalid));
    assert_eq!(bench.asked(), [1, 1, 0]);
}

#[tokio::test]
async fn a_replayed_code_is_refused() {
    let bench = Bench::start().await;
    let callback = bench.come_back(&round_trip()).await.unwrap();
    let (code, iss) = (callback.code.unwrap(), callback.iss.unwrap());

    let first = bench.acme.exchange(&code, Some(&iss), &round_trip()).await;
    let second = bench.acme.exchange(&code, Some(&iss), &round_trip()).await;

    assert!(first.is_ok());
    assert_eq!(second, Err(ProviderError::refused("invalid_grant", None)));
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_refused_before_anything_is_asked() {
    let bench = Bench::start().await;
    let issuer = bench.provider.issuer().to_owned();

    for iss in ["https://mallory.example", &format!("{issuer}/"), &issuer.to_uppercase(), ""] {
        let outcome = bench.acme.exchange("code", Some(iss), &round_trip()).await;

        assert_eq!(outcome, Err(ProviderError::IssuerMismatch), "{iss}");
    }
    assert_eq!(bench.asked(), [0, 0, 0]);
    assert_eq!(bench.acme.check_issuer(Some(&issuer)).await, Ok(()));
}

#[tokio::test]
async fn an_answer_may_say_no_issuer_only_where_none_is_promised() {
    let bench = Bench::start().await;
    assert_eq!(bench.acme.check_issuer(None).await, Err(ProviderError::IssuerMismatch));

    let bench = Bench::start().await;
    bench.provider.change(Part::Metadata, |metadata| {
        metadata.as_object_mut().unwrap().remove("authorization_response_iss_parameter_supported");
    });
    assert_eq!(bench.acme.check_issuer(None).await, Ok(()));
}

#[tokio::test]
async fn a_provider_is_ready_once_it_was_discovered() {
    let bench = Bench::start().await;
    bench.provider.answer(Endpoint::Metadata, Canned::Error(503, json!({})));
    assert_eq!(bench.acme.check().await, Err(ProviderError::Unavailable));

    bench.provider.behave();
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(bench.acme.check().await, Ok(()));

    bench.provider.answer(Endpoint::Metadata, Canned::Error(503, json!({})));
    bench.clock.advance(Duration::from_hours(2));
    assert_eq!(bench.acme.check().await, Ok(()));
}

#[tokio::test]
async fn this_machine_is_never_asked_in_the_name_of_a_public_provider() {
    let bench = Bench::start().await;
    let issuer = agentkeys_provider::IssuerUrl::new("https://localhost:1".to_owned()).unwrap();
    let settings = agentkeys_provider::ProviderSettings {
        issuer,
        client_id: "agentkeys".to_owned(),
        client_secret: None,
        prompt: None,
        scopes: Vec::new(),
    };
    let redirect_uri = "https://broker.example.com/callback".parse().unwrap();
    let name = "acme".parse().unwrap();

    let acme =
        agentkeys_provider::Provider::new(name, settings, redirect_uri, Reach::Public, bench.clock.clone()).unwrap();

    assert_eq!(acme.check().await, Err(ProviderError::Unavailable));
}
