//! Metadata, key sets and token endpoints that are not what they should be.

use std::time::{Duration, Instant};

use agentkeys_provider::ProviderError;
use agentkeys_testing::{Canned, Endpoint, Part, TestProvider};
use serde_json::{Value, json};

use crate::bench::Bench;

/// What is wrong, how to bring it about, and how often metadata, tokens and keys are asked for until it is found.
type Case = (&'static str, fn(&TestProvider), [usize; 3]);

const DISCOVERED: [usize; 3] = [1, 0, 0];
const EXCHANGED: [usize; 3] = [1, 1, 0];
const VERIFIED: [usize; 3] = [1, 1, 1];

const CASES: &[Case] = &[
    ("the metadata are of another issuer", |p| metadata(p, "issuer", json!("https://mallory.example")), DISCOVERED),
    (
        "the metadata are of the issuer with a slash more",
        |p| {
            p.change(Part::Metadata, |metadata| {
                metadata["issuer"] = json!(format!("{}/", metadata["issuer"].as_str().unwrap()));
            });
        },
        DISCOVERED,
    ),
    ("the metadata name no issuer", |p| metadata(p, "issuer", Value::Null), DISCOVERED),
    ("codes would be sent in plain text", |p| metadata(p, "token_endpoint", json!("http://a.example/")), DISCOVERED),
    ("codes would be sent nowhere", |p| metadata(p, "token_endpoint", Value::Null), DISCOVERED),
    (
        "codes would be sent to the cloud's metadata",
        |p| {
            metadata(p, "token_endpoint", json!("http://169.254.169.254/latest/meta-data"));
        },
        DISCOVERED,
    ),
    ("keys would be fetched in a private network", |p| metadata(p, "jwks_uri", json!("https://10.0.0.1/")), DISCOVERED),
    ("keys would be read from a file", |p| metadata(p, "jwks_uri", json!("file:///etc/passwd")), DISCOVERED),
    (
        "keys would be fetched from a mapped address",
        |p| {
            metadata(p, "jwks_uri", json!("https://[::ffff:127.0.0.1]/keys"));
        },
        DISCOVERED,
    ),
    (
        "browsers would be sent to a script",
        |p| {
            metadata(p, "authorization_endpoint", json!("javascript:alert(1)"));
        },
        DISCOVERED,
    ),
    (
        "browsers would be sent with a name and password",
        |p| {
            metadata(p, "authorization_endpoint", json!("https://ada:pw@a.example/"));
        },
        DISCOVERED,
    ),
    (
        "tokens are signed by nobody or by the client's secret",
        |p| {
            metadata(p, "id_token_signing_alg_values_supported", json!(["none", "HS256"]));
        },
        DISCOVERED,
    ),
    (
        "the metadata do not say how tokens are signed",
        |p| {
            metadata(p, "id_token_signing_alg_values_supported", Value::Null);
        },
        DISCOVERED,
    ),
    ("the metadata are a page", |p| p.answer(Endpoint::Metadata, PAGE), DISCOVERED),
    ("the metadata are not there", |p| p.answer(Endpoint::Metadata, Canned::Error(404, json!({}))), DISCOVERED),
    ("the metadata are elsewhere", |p| p.answer(Endpoint::Metadata, elsewhere(p)), DISCOVERED),
    ("the metadata do not end", |p| p.answer(Endpoint::Metadata, Canned::Endless), DISCOVERED),
    ("the metadata are huge", |p| p.answer(Endpoint::Metadata, Canned::Huge), DISCOVERED),
    ("the metadata stop in the middle", |p| p.answer(Endpoint::Metadata, Canned::Silence), DISCOVERED),
    (
        "the metadata are compressed",
        |p| {
            p.answer(Endpoint::Metadata, Canned::Text("application/json", "\u{1f}\u{8b}\u{8}\u{0}"));
        },
        DISCOVERED,
    ),
    ("the token endpoint is a page", |p| p.answer(Endpoint::Token, PAGE), EXCHANGED),
    ("the token endpoint answers with a list", |p| p.change(Part::Reply, |reply| *reply = json!([])), EXCHANGED),
    (
        "the token endpoint gives no access token",
        |p| {
            p.change(Part::Reply, |reply| {
                reply.as_object_mut().unwrap().remove("access_token");
            });
        },
        EXCHANGED,
    ),
    ("the token endpoint is elsewhere", |p| p.answer(Endpoint::Token, elsewhere(p)), EXCHANGED),
    ("the token endpoint does not end", |p| p.answer(Endpoint::Token, Canned::Endless), EXCHANGED),
    ("the token endpoint is huge", |p| p.answer(Endpoint::Token, Canned::Huge), EXCHANGED),
    ("the token endpoint stops in the middle", |p| p.answer(Endpoint::Token, Canned::Silence), EXCHANGED),
    ("the token endpoint is broken", |p| p.answer(Endpoint::Token, Canned::Error(500, json!("oops"))), EXCHANGED),
    (
        "the token's reply is larger than anybody reads",
        |p| {
            p.change(Part::Reply, |reply| {
                reply["filler"] = json!("x".repeat(64 * 1024));
            });
        },
        EXCHANGED,
    ),
    ("the keys are a page", |p| p.answer(Endpoint::Keys, PAGE), VERIFIED),
    ("the keys are none", |p| p.change(Part::Keys, |keys| keys["keys"] = json!([])), VERIFIED),
    ("the keys are no list", |p| p.change(Part::Keys, |keys| keys["keys"] = json!({})), VERIFIED),
    (
        "the keys are too many",
        |p| {
            p.change(Part::Keys, |keys| {
                let key = keys["keys"][0].clone();
                keys["keys"] = json!(vec![key; 1000]);
            });
        },
        VERIFIED,
    ),
    (
        "the key is symmetric",
        |p| {
            p.change(Part::Keys, |keys| {
                keys["keys"] = json!([{"kty": "oct", "k": "c2VjcmV0", "kid": keys["keys"][0]["kid"]}]);
            });
        },
        VERIFIED,
    ),
    (
        "the key is published with its private half",
        |p| {
            p.change(Part::Keys, |keys| {
                keys["keys"][0]["d"] = keys["keys"][0]["x"].clone();
            });
        },
        VERIFIED,
    ),
    ("the key is no point", |p| p.change(Part::Keys, |keys| keys["keys"][0]["x"] = json!("AA")), VERIFIED),
    ("the keys are elsewhere", |p| p.answer(Endpoint::Keys, elsewhere(p)), VERIFIED),
    ("the keys do not end", |p| p.answer(Endpoint::Keys, Canned::Endless), VERIFIED),
    ("the keys are huge", |p| p.answer(Endpoint::Keys, Canned::Huge), VERIFIED),
    ("the keys stop in the middle", |p| p.answer(Endpoint::Keys, Canned::Silence), VERIFIED),
    ("the keys are away", |p| p.answer(Endpoint::Keys, Canned::Error(503, json!({}))), VERIFIED),
];

const PAGE: Canned = Canned::Text("text/html", "<!doctype html><title>Sign in</title>");

#[tokio::test]
async fn a_provider_that_answers_wrongly_is_unavailable() {
    let untouched = Bench::start().await;
    assert_eq!(untouched.sign_in().await.unwrap().identity.value(), "ada");

    for (name, misbehave, asked) in CASES {
        let bench = Bench::start().await.patient_for(Duration::from_millis(300));
        misbehave(&bench.provider);

        let began = Instant::now();
        let outcome = bench.sign_in().await;

        assert_eq!(outcome, Err(ProviderError::Unavailable), "{name}");
        assert!(began.elapsed() < Duration::from_secs(5), "{name}: {:?}", began.elapsed());
        assert_eq!(bench.asked(), *asked, "{name}");
        assert_eq!(bench.provider.asked(Endpoint::Elsewhere), 0, "{name}");
    }
}

#[tokio::test]
async fn what_is_endless_or_huge_is_left_long_before_the_time_is_over() {
    for canned in [Canned::Endless, Canned::Huge] {
        for endpoint in [Endpoint::Metadata, Endpoint::Token, Endpoint::Keys] {
            let bench = Bench::start().await;
            bench.provider.answer(endpoint, canned.clone());

            let began = Instant::now();
            let outcome = bench.sign_in().await;

            assert_eq!(outcome, Err(ProviderError::Unavailable), "{canned:?} of {endpoint:?}");
            assert!(began.elapsed() < Duration::from_secs(2), "{canned:?} of {endpoint:?}: {:?}", began.elapsed());
        }
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_provider_s_code_and_in_words_that_can_be_shown() {
    let bench = Bench::start().await;
    let description = "no\u{202e}\r\n\u{7} code <b>";
    let body = json!({"error": "invalid_grant", "error_description": description});
    bench.provider.answer(Endpoint::Token, Canned::Error(400, body));

    let outcome = bench.sign_in().await;

    let description = Some("no code <b>".to_owned());
    assert_eq!(outcome, Err(ProviderError::Refused { code: "invalid_grant".to_owned(), description }));
}

#[tokio::test]
async fn a_code_that_is_a_script_is_not_repeated() {
    let bench = Bench::start().await;
    let body = json!({"error": "<script>alert(1)</script>", "error_uri": "javascript:alert(1)"});
    bench.provider.answer(Endpoint::Token, Canned::Error(400, body));

    assert_eq!(bench.sign_in().await, Err(ProviderError::refused("unknown_error", None)));
}

#[tokio::test]
async fn a_wrong_secret_is_refused_by_its_code() {
    let bench = Bench::start_with(|settings| settings.client_secret = Some(b"other".as_slice().into())).await;

    assert_eq!(bench.sign_in().await, Err(ProviderError::refused("invalid_client", None)));
}

fn metadata(provider: &TestProvider, name: &'static str, value: Value) {
    provider.change(Part::Metadata, move |metadata| metadata[name] = value.clone());
}

fn elsewhere(provider: &TestProvider) -> Canned {
    Canned::Redirect(format!("{}/elsewhere", provider.issuer()))
}
