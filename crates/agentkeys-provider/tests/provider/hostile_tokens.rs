//! ID tokens that prove nothing: each is the good one but for what its case says.

use agentkeys_provider::ProviderError;
use agentkeys_testing::{Endpoint, KeyKind, ManualClock, Part, TestProvider};
use agentkeys_types::Clock;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::bench::Bench;

/// What is wrong, and how to bring it about.
type Case = (&'static str, fn(&TestProvider));

const FOUND_BY_LOOKING: &[Case] = &[
    ("there is no token", |p| without(p, Part::Reply, "id_token")),
    ("the token is a number", |p| with(p, Part::Reply, "id_token", json!(7))),
    ("the token is an object", |p| with(p, Part::Reply, "id_token", json!({"alg": "none"}))),
    ("the token is empty", |p| with(p, Part::Reply, "id_token", json!(""))),
    ("the token has two parts", |p| p.change_token(|token| token.rsplit_once('.').unwrap().0.to_owned())),
    ("the token has four parts", |p| p.change_token(|token| format!("{token}.e30"))),
    ("the token has five parts, as if it were encrypted", |p| p.change_token(|token| format!("{token}.e30.e30"))),
    ("the token is padded", |p| p.change_token(|token| format!("{token}=="))),
    ("the token is in the other base64", |p| p.change_token(|token| format!("{token}+/"))),
    ("nobody has signed", |p| {
        with(p, Part::Header, "alg", json!("none"));
        p.change_token(|token| format!("{}.", token.rsplit_once('.').unwrap().0));
    }),
    ("nobody has signed, in other letters", |p| with(p, Part::Header, "alg", json!("nOnE"))),
    ("the algorithm is symmetric", |p| with(p, Part::Header, "alg", json!("HS256"))),
    ("the algorithm is not offered", |p| with(p, Part::Header, "alg", json!("ES384"))),
    ("the algorithm is missing", |p| without(p, Part::Header, "alg")),
    ("the algorithm is a list", |p| with(p, Part::Header, "alg", json!(["ES256"]))),
    ("the token brings its key", |p| with(p, Part::Header, "jwk", json!({"kty": "EC"}))),
    ("the token says where its keys are", |p| {
        let keys = format!("{}/elsewhere", p.issuer());
        p.change(Part::Header, move |header| header["jku"] = json!(keys));
    }),
    ("the token says where its certificate is", |p| {
        let certificate = format!("{}/elsewhere", p.issuer());
        p.change(Part::Header, move |header| header["x5u"] = json!(certificate));
    }),
    ("the token brings its certificate", |p| with(p, Part::Header, "x5c", json!(["MIIB"]))),
    ("the token has something critical", |p| with(p, Part::Header, "crit", json!(["exp"]))),
    ("the token is compressed", |p| with(p, Part::Header, "zip", json!("DEF"))),
    ("the key's name is a path", |p| with(p, Part::Header, "kid", json!("../../../dev/null"))),
    ("the key's name is a URL", |p| with(p, Part::Header, "kid", json!("http://127.0.0.1/elsewhere"))),
    ("the key's name has a null character", |p| with(p, Part::Header, "kid", json!("key\0"))),
    ("the key's name is endless", |p| with(p, Part::Header, "kid", json!("k".repeat(10_000)))),
    ("the key's name is a number", |p| with(p, Part::Header, "kid", json!(0))),
    ("the token is an access token", |p| with(p, Part::Header, "typ", json!("at+jwt"))),
    ("the token is a logout token", |p| with(p, Part::Header, "typ", json!("logout+jwt"))),
    ("the algorithm is given twice", |p| p.change_token(|token| doubled(token, 0, r#""alg":"none""#))),
    ("the subject is given twice", |p| p.change_token(|token| doubled(token, 1, r#""sub":"mallory""#))),
    ("the claims are a list", |p| p.change(Part::Claims, |claims| *claims = json!([claims.clone()]))),
    ("the issuer is another", |p| with(p, Part::Claims, "iss", json!("https://mallory.example"))),
    ("the issuer has a slash more", |p| {
        p.change(Part::Claims, |claims| {
            claims["iss"] = json!(format!("{}/", claims["iss"].as_str().unwrap()));
        });
    }),
    ("the issuer is missing", |p| without(p, Part::Claims, "iss")),
    ("the issuer is a list", |p| p.change(Part::Claims, |claims| claims["iss"] = json!([claims["iss"]]))),
    ("the audience is another", |p| with(p, Part::Claims, "aud", json!("mallory"))),
    ("the audience is us and another", |p| with(p, Part::Claims, "aud", json!(["agentkeys", "mallory"]))),
    ("the audience is nobody", |p| with(p, Part::Claims, "aud", json!([]))),
    ("the audience is missing", |p| without(p, Part::Claims, "aud")),
    ("the audience is a number", |p| with(p, Part::Claims, "aud", json!(7))),
    ("the audience is an object", |p| with(p, Part::Claims, "aud", json!({"agentkeys": true}))),
    ("another was authorized", |p| with(p, Part::Claims, "azp", json!("mallory"))),
    ("what was authorized is a list", |p| with(p, Part::Claims, "azp", json!(["agentkeys"]))),
    ("the token has expired", |p| with(p, Part::Claims, "exp", json!(now() - 30))),
    ("the expiry is missing", |p| without(p, Part::Claims, "exp")),
    ("the expiry is a text", |p| with(p, Part::Claims, "exp", json!((now() + 60).to_string()))),
    ("the expiry is a fraction", |p| with(p, Part::Claims, "exp", json!(1_999_999_999.5))),
    ("the expiry is never", |p| with(p, Part::Claims, "exp", json!(1e308))),
    ("the expiry is after the end of time", |p| with(p, Part::Claims, "exp", json!(i64::MAX))),
    ("the expiry is null", |p| with(p, Part::Claims, "exp", Value::Null)),
    ("the token is from the future", |p| with(p, Part::Claims, "iat", json!(now() + 31))),
    ("the token is too old", |p| with(p, Part::Claims, "iat", json!(now() - 631))),
    ("the token does not say how old it is", |p| without(p, Part::Claims, "iat")),
    ("the age is a text", |p| p.change(Part::Claims, |claims| claims["iat"] = json!(claims["iat"].to_string()))),
    ("the token does not count yet", |p| with(p, Part::Claims, "nbf", json!(now() + 31))),
    ("the beginning is a text", |p| with(p, Part::Claims, "nbf", json!("now"))),
    ("the nonce is another", |p| with(p, Part::Claims, "nonce", json!("nonce-of-mallory"))),
    ("the nonce is in other letters", |p| with(p, Part::Claims, "nonce", json!("Nonce-of-ada"))),
    ("the nonce is missing", |p| without(p, Part::Claims, "nonce")),
    ("the nonce is a list", |p| with(p, Part::Claims, "nonce", json!(["nonce-of-ada"]))),
    ("the subject is missing", |p| without(p, Part::Claims, "sub")),
    ("the subject is empty", |p| with(p, Part::Claims, "sub", json!(""))),
    ("the subject is a number", |p| with(p, Part::Claims, "sub", json!(1))),
    ("the address is a list", |p| with(p, Part::Claims, "email", json!(["ada@example.com"]))),
    ("it is unclear whether the address is verified", |p| with(p, Part::Claims, "email_verified", json!("yes"))),
];

const FOUND_BY_THE_KEYS: &[Case] = &[
    ("the subject is longer than one is", |p| with(p, Part::Claims, "sub", json!("s".repeat(256)))),
    ("the subject is not ASCII", |p| with(p, Part::Claims, "sub", json!("ad\u{e4}"))),
    ("the subject has a line break", |p| with(p, Part::Claims, "sub", json!("ada\nmallory"))),
    ("the claims were changed after they were signed", |p| {
        p.change_token(|token| altered(token, |claims| claims["sub"] = json!("mallory")));
    }),
    ("the signature is of another key with the same name", TestProvider::sign_with_stolen_name),
    ("the signature is another", |p| {
        p.change_token(|token| format!("{}.{}", token.rsplit_once('.').unwrap().0, URL_SAFE_NO_PAD.encode([1; 64])));
    }),
    ("the signature is zero", |p| {
        p.change_token(|token| format!("{}.{}", token.rsplit_once('.').unwrap().0, URL_SAFE_NO_PAD.encode([0; 64])));
    }),
    ("the signature is short", |p| {
        p.change_token(|token| format!("{}.{}", token.rsplit_once('.').unwrap().0, URL_SAFE_NO_PAD.encode([1; 60])));
    }),
    ("the key is unknown", |p| with(p, Part::Header, "kid", json!("key-of-mallory"))),
    ("the key is of another kind than the algorithm", |p| with(p, Part::Header, "alg", json!("RS256"))),
    ("the key is for encryption", |p| p.change(Part::Keys, |keys| keys["keys"][0]["use"] = json!("enc"))),
    ("the key is for another algorithm", |p| p.change(Part::Keys, |keys| keys["keys"][0]["alg"] = json!("ES384"))),
    ("the key is on another curve", |p| {
        p.rotate_key(KeyKind::Rs256);
        p.rotate_key(KeyKind::Es256);
        p.change(Part::Keys, |keys| keys["keys"][0]["crv"] = json!("P-384"));
    }),
    ("two keys have one name", |p| {
        p.change(Part::Keys, |keys| {
            let twin = keys["keys"][0].clone();
            keys["keys"].as_array_mut().unwrap().push(twin);
        });
    }),
];

#[tokio::test]
async fn what_is_wrong_with_a_token_itself_is_found_without_asking_for_keys() {
    refuses_all(FOUND_BY_LOOKING, 0).await;
}

#[tokio::test]
async fn what_the_keys_do_not_prove_is_refused_after_asking_for_them_once() {
    refuses_all(FOUND_BY_THE_KEYS, 1).await;
}

/// The same bench lets the good token in, before each case and after it: nothing but the case is refused.
async fn refuses_all(cases: &[Case], keys_asked: usize) {
    let untouched = Bench::start().await;
    assert_eq!(untouched.sign_in().await.unwrap().identity.value(), "ada");

    for (name, misbehave) in cases {
        let bench = Bench::start().await;
        misbehave(&bench.provider);

        let outcome = bench.sign_in().await;

        assert_eq!(outcome, Err(ProviderError::IdTokenInvalid), "{name}");
        assert_eq!(bench.asked(), [1, 1, keys_asked], "{name}");
        assert_eq!(bench.provider.asked(Endpoint::Elsewhere), 0, "{name}");

        bench.provider.behave();
        bench.clock.advance(std::time::Duration::from_hours(1));
        assert!(bench.sign_in().await.is_ok(), "{name}");
    }
}

fn with(provider: &TestProvider, part: Part, name: &'static str, value: Value) {
    provider.change(part, move |object| object[name] = value.clone());
}

fn without(provider: &TestProvider, part: Part, name: &'static str) {
    provider.change(part, move |object| {
        object.as_object_mut().unwrap().remove(name);
    });
}

fn now() -> i64 {
    ManualClock::default().now().as_unix()
}

/// The token with other claims under the same signature.
fn altered(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let mut claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    change(&mut claims);
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}

/// The token with one more member at the beginning of a part.
fn doubled(token: &str, part: usize, member: &str) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let json = String::from_utf8(URL_SAFE_NO_PAD.decode(&parts[part]).unwrap()).unwrap();
    parts[part] = URL_SAFE_NO_PAD.encode(json.replacen('{', &format!("{{{member},"), 1));
    parts.join(".")
}
