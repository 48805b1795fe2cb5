//! STS, as a client sees it.

use std::time::Duration;

use agentkeys_crypto::{Es256Key, KeyParameters, OidcIssuer, Purpose};
use agentkeys_types::Clock;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bench::{ADA, Answer, Bench, Issuer};

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// The parts of a token, decoded.
fn parts(token: &str) -> (Value, Value, String) {
    let mut parts = token.split('.');
    let mut json = || serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap()).unwrap();
    (json(), json(), parts.next().unwrap().to_owned())
}

fn token(header: &Value, claims: &Value, signature: &str) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", encode(header), encode(claims))
}

#[tokio::test]
async fn a_good_token_gives_credentials() {
    let bench = Bench::start().await;

    let answer = bench.assume_role(bench.token(ADA).expose(), &[("DurationSeconds", "900")]).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.element("AccessKeyId").starts_with("ASIA"));
    assert_eq!(answer.element("AccessKeyId").len(), 20);
    assert_eq!(answer.element("SecretAccessKey").len(), 40);
    assert_eq!(answer.element("SubjectFromWebIdentityToken"), format!("wallet:{ADA}"));
    assert_eq!(answer.element("Audience"), "sts.amazonaws.com");
    let arn = format!("arn:aws:sts::000000000000:assumed-role/agentkeys-dev/{ADA}");
    assert_eq!(answer.element("Arn"), arn);
    assert!(answer.element("AssumedRoleId").ends_with(&format!(":{ADA}")));
    let provider = bench.issuer.url.replace("http://", "arn:aws:iam::000000000000:oidc-provider/");
    assert_eq!(answer.element("Provider"), provider);
    assert_eq!(answer.element("RequestId").len(), 36);
    assert!(answer.element("PackedPolicySize").parse::<u32>().unwrap() > 0);
    let expiration = answer.element("Expiration").parse::<agentkeys_types::Timestamp>().unwrap();
    let lifetime = expiration.since(bench.clock.now());
    assert!((890..=900).contains(&lifetime.as_secs()), "{lifetime:?}");
}

#[tokio::test]
async fn a_session_may_be_shorter_than_those_of_aws_where_that_is_set() {
    let bench = Bench::start_with_sessions_from(Duration::from_secs(3), Issuer::start().await).await;
    let assume_role =
        async |seconds| bench.assume_role(bench.token(ADA).expose(), &[("DurationSeconds", seconds)]).await;

    let (taken, refused) = (assume_role("3").await, assume_role("2").await);

    let expiration = taken.element("Expiration").parse::<agentkeys_types::Timestamp>().unwrap();
    assert!(expiration.since(bench.clock.now()) <= Duration::from_secs(3), "{expiration}");
    assert_eq!(refused.error(), (400, "ValidationError".to_owned()));
    assert!(refused.xml.contains("from 3 to 43200"), "{}", refused.xml);
}

#[tokio::test]
async fn a_tampered_token_is_an_invalid_identity_token() {
    let bench = Bench::start().await;
    let (header, mut claims, signature) = parts(bench.token(ADA).expose());
    claims["sub"] = json!("wallet:0x0000000000000000000000000000000000000000");

    let answer = bench.assume_role(&token(&header, &claims, &signature), &[]).await;

    assert_eq!(answer.error(), refused(400, "InvalidIdentityToken"));
}

#[tokio::test]
async fn a_token_by_another_key_is_an_invalid_identity_token() {
    let bench = Bench::start().await;
    let stranger = OidcIssuer::new(Es256Key::generate(Purpose::Oidc).unwrap()).unwrap();
    let forged = stranger.sign(&bench.claims(ADA)).unwrap();
    let (mut header, claims, signature) = parts(forged.expose());
    let unknown_kid = bench.assume_role(forged.expose(), &[]).await;
    header["kid"] = json!(bench.issuer.signer.keys().keys[0].kid);

    let stolen_kid = bench.assume_role(&token(&header, &claims, &signature), &[]).await;

    assert_eq!(unknown_kid.error(), refused(400, "InvalidIdentityToken"));
    assert_eq!(stolen_kid.error(), refused(400, "InvalidIdentityToken"));
}

#[tokio::test]
async fn weak_algorithms_and_missing_key_ids_are_refused() {
    let bench = Bench::start().await;
    let (header, claims, signature) = parts(bench.token(ADA).expose());
    let key = bench.issuer.signer.keys().keys[0].clone();
    let KeyParameters::Ec { x, .. } = &key.parameters else { panic!("{key:?}") };
    let hmac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, x.as_bytes());
    let hs256 = json!({"alg": "HS256", "kid": key.kid, "typ": "JWT"});
    let signed = token(&hs256, &claims, "");
    let hs256_signature =
        URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&hmac_key, signed.trim_end_matches('.').as_bytes()));

    for forged in [
        token(&hs256, &claims, &hs256_signature),
        token(&json!({"alg": "none", "kid": key.kid}), &claims, ""),
        token(&json!({"alg": "RS256", "kid": key.kid}), &claims, &signature),
        token(&json!({"alg": "ES384", "kid": key.kid}), &claims, &signature),
        token(&json!({"alg": "ES256"}), &claims, &signature),
        token(&json!({"alg": "ES256", "kid": key.kid, "crit": ["exp"]}), &claims, &signature),
        token(&header, &json!([]), &signature),
        "not.a.token".to_owned(),
        "nothing like a token".to_owned(),
    ] {
        let answer = bench.assume_role(&forged, &[]).await;

        assert_eq!(answer.error(), refused(400, "InvalidIdentityToken"), "{forged}");
    }
}

#[tokio::test]
async fn an_expired_token_says_so() {
    let bench = Bench::start().await;
    let token = bench.token(ADA);

    bench.clock.advance(Duration::from_mins(5));
    let answer = bench.assume_role(token.expose(), &[]).await;

    assert_eq!(answer.error(), refused(400, "ExpiredTokenException"));
}

#[tokio::test]
async fn wrong_claims_are_refused() {
    let bench = Bench::start().await;
    let sign = |change: &dyn Fn(&mut agentkeys_crypto::OidcClaims)| {
        let mut claims = bench.claims(ADA);
        change(&mut claims);
        bench.issuer.signer.sign(&claims).unwrap()
    };

    for wrong in [
        sign(&|claims| claims.aud = "other".to_owned()),
        sign(&|claims| claims.iss = format!("{}/", claims.iss)),
        sign(&|claims| claims.iss = "http://127.0.0.1:1".to_owned()),
        sign(&|claims| claims.sub = String::new()),
        sign(&|claims| claims.sub = "s".repeat(256)),
        sign(&|claims| claims.nbf += 60),
        sign(&|claims| claims.iat += 60),
    ] {
        let answer = bench.assume_role(wrong.expose(), &[]).await;

        assert_eq!(answer.error(), refused(400, "InvalidIdentityToken"), "{}", answer.xml);
    }
}

#[tokio::test]
async fn parameters_outside_the_limits_are_refused() {
    let bench = Bench::start().await;
    let token = bench.token(ADA);

    for changed in [
        ("RoleSessionName", "a"),
        ("RoleSessionName", "a b"),
        ("DurationSeconds", "899"),
        ("DurationSeconds", "3601"),
        ("DurationSeconds", "43201"),
        ("DurationSeconds", "soon"),
        ("RoleArn", "arn"),
        ("WebIdentityToken", "abc"),
        ("Policy", "{}"),
    ] {
        let answer = bench.assume_role(token.expose(), &[changed]).await;

        assert_eq!(answer.error(), refused(400, "ValidationError"), "{changed:?}");
    }
}

#[tokio::test]
async fn only_the_one_role_can_be_assumed() {
    let bench = Bench::start().await;

    let other = ("RoleArn", "arn:aws:iam::000000000000:role/administrator");
    let answer = bench.assume_role(bench.token(ADA).expose(), &[other]).await;

    assert_eq!(answer.error(), refused(403, "AccessDenied"));
}

#[tokio::test]
async fn unknown_actions_are_refused() {
    let bench = Bench::start().await;

    for (changed, code) in [(("Action", "AssumeRole"), "InvalidAction"), (("Version", "1"), "InvalidAction")] {
        assert_eq!(bench.assume_role("a.b.c", &[changed]).await.error(), refused(400, code));
    }
}

#[tokio::test]
async fn an_oversized_form_is_refused() {
    let bench = Bench::start().await;

    let answer = bench.assume_role(&"a".repeat(100_000), &[]).await;

    assert_eq!(answer.error(), refused(413, "RequestEntityTooLarge"));
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_a_communication_error() {
    let mut bench = Bench::start().await;
    let token = bench.token(ADA);

    bench.issuer.stop().await;
    let answer = bench.assume_role(token.expose(), &[]).await;

    assert_eq!(answer.error(), refused(400, "IDPCommunicationError"));
}

#[tokio::test]
async fn an_issuer_that_names_another_one_is_not_believed() {
    let signer = OidcIssuer::new(Es256Key::generate(Purpose::Oidc).unwrap()).unwrap();
    let discovery = |url: &str| json!({"issuer": "https://other.example", "jwks_uri": format!("{url}/keys")});
    let bench = Bench::start_with(Issuer::start_with(signer, discovery).await).await;

    let answer = bench.assume_role(bench.token(ADA).expose(), &[]).await;

    assert_eq!(answer.error(), refused(400, "InvalidIdentityToken"));
}

async fn caller_identity(bench: &Bench, keys: &crate::sigv4::Keys) -> Answer {
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let url = format!("{}/", bench.url);
    let response = keys.send(&bench.http, "sts", Method::POST, &url, &form, body).await;
    Answer { status: response.status(), xml: response.text().await.unwrap() }
}

#[tokio::test]
async fn credentials_say_whose_they_are() {
    let bench = Bench::start().await;
    let keys = bench.sign_in(ADA).await;

    let answer = caller_identity(&bench, &keys).await;

    assert_eq!(answer.element("Account"), "000000000000");
    assert_eq!(answer.element("Arn"), format!("arn:aws:sts::000000000000:assumed-role/agentkeys-dev/{ADA}"));
    assert!(answer.element("UserId").starts_with("AROA"));
}

#[tokio::test]
async fn caller_identity_needs_the_right_signature_and_session_token() {
    let bench = Bench::start().await;
    let good = bench.sign_in(ADA).await;
    let with = |change: &dyn Fn(&mut crate::sigv4::Keys)| {
        let mut keys = good.clone();
        change(&mut keys);
        keys
    };

    for (keys, code) in [
        (with(&|keys| keys.secret_access_key.push('x')), "SignatureDoesNotMatch"),
        (with(&|keys| keys.access_key_id = "ASIAAAAAAAAAAAAAAAAA".to_owned()), "InvalidClientTokenId"),
        (with(&|keys| keys.session_token = None), "InvalidClientTokenId"),
        (with(&|keys| keys.session_token = Some("other".to_owned())), "InvalidClientTokenId"),
    ] {
        assert_eq!(caller_identity(&bench, &keys).await.error(), refused(403, code));
    }
    let unsigned = bench.assume_role("a.b.c", &[("Action", "GetCallerIdentity")]).await;
    assert_eq!(unsigned.error(), refused(403, "MissingAuthenticationToken"));
}

#[tokio::test]
async fn expired_credentials_have_no_identity() {
    let bench = Bench::start().await;
    let keys = bench.sign_in(ADA).await;

    bench.clock.advance(Duration::from_hours(1));

    assert_eq!(caller_identity(&bench, &keys).await.error(), refused(403, "ExpiredToken"));
}
