//! Ceph's object gateway, which verifies our JWTs for real, beside our stand-in for AWS.
//!
//! Where the two differ, a table says why; any other difference is a fault of the stand-in.

mod bench;
mod forge;
mod provider;
pub(crate) mod radosgw;
pub(crate) mod sigv4;

use agentkeys_client::SessionDuration;
use agentkeys_crypto::{Algorithm, RingName, Rotation};
use agentkeys_types::Clock;
use reqwest::Method;
use serde_json::{Value, json};

use self::{
    bench::{Access, Assume, Bench, Clouds, LIFE, Verdict},
    forge::Forge,
    provider::Provider,
    sigv4::Keys,
};
use crate::parts::with_altered_signature;

#[tokio::test]
#[ignore = "needs Ceph: cargo xtask test"]
async fn a_minted_jwt_opens_its_own_wallets_prefix_and_no_other() {
    let bench = Bench::start().await;
    let keys = bench.clouds.ceph.keys(&bench.mint(&bench.ada).await).await;
    let [own, other] = [&bench.ada, &bench.grace].map(|person| format!("/bots/{}/a", person.address().to_lowercase()));
    let attempt = |method: Method, path: &str| Access { method, path: path.to_owned(), keys: keys.clone() };

    let put = bench.clouds.ceph.access(&attempt(Method::PUT, &own)).await;
    let got = bench.clouds.ceph.access(&attempt(Method::GET, &own)).await;
    let refused = bench.clouds.ceph.access(&attempt(Method::PUT, &other)).await;

    assert_eq!(put.0, 200, "{}", put.1);
    assert_eq!(got, (200, "hello".to_owned()));
    assert_eq!(refused.0, 403, "{}", refused.1);
}

#[tokio::test]
#[ignore = "needs Ceph: cargo xtask test"]
async fn jwts_by_rs256_are_taken_before_and_after_a_rotation_and_altered_ones_are_not() {
    let bench = Bench::start_with(|config| config.oidc_algorithm = Algorithm::Rs256).await;
    for _ in 0..2 {
        let jwt = bench.mint(&bench.ada).await;

        let taken = bench.clouds.judge(&jwt, |_| {}).await;
        let refused = bench.clouds.judge(&with_altered_signature(&jwt), |_| {}).await;

        assert_eq!(taken, (Verdict::Accepted, Verdict::Accepted));
        assert_eq!(refused, (Verdict::Refused, Verdict::Refused));
        let keys = bench.broker.state().join("keys");
        Rotation::begin(&keys, bench.broker.clock().now()).unwrap().rotate(RingName::OidcRs256).unwrap();
        bench.broker.running().look_for_keys().await;
    }
}

#[tokio::test]
#[ignore = "needs Ceph: cargo xtask test"]
async fn ceph_and_the_stand_in_judge_jwts_alike() {
    let bench = Bench::start().await;
    let forge = Forge::new(&bench.broker, &bench.mint(&bench.ada).await);
    let mallorys = bench.mint(&bench.mallory).await;

    let mut failures = Vec::new();
    for (name, jwt, expected) in jwts(&forge, mallorys) {
        let verdicts = bench.clouds.judge(&jwt, |_| {}).await;
        if verdicts != expected.verdicts() {
            failures.push(format!("{name}: {verdicts:?} is not {expected:?}"));
        }
    }

    assert!(failures.is_empty(), "(stand-in, Ceph):\n{}", failures.join("\n"));
}

#[tokio::test]
#[ignore = "needs Ceph: cargo xtask test"]
async fn ceph_and_the_stand_in_judge_requests_alike() {
    let bench = Bench::start().await;
    let jwt = bench.mint(&bench.ada).await;

    let mut failures = Vec::new();
    for (name, change, expected) in requests() {
        let verdicts = bench.clouds.judge(&jwt, change).await;
        if verdicts != expected.verdicts() {
            failures.push(format!("{name}: {verdicts:?} is not {expected:?}"));
        }
    }

    assert!(failures.is_empty(), "(stand-in, Ceph):\n{}", failures.join("\n"));
}

#[tokio::test]
#[ignore = "needs Ceph: cargo xtask test"]
async fn ceph_and_the_stand_in_find_keys_alike() {
    use Expected::{Accepted, CephIsStricter, Refused};

    let provider = Provider::start().await;
    let clouds = Clouds::trusting(&provider.url, &[provider::WALLET]).await;

    let mut failures = Vec::new();
    for (name, jwt, expected) in [
        ("by the first key", provider.sign(&provider.first), Accepted),
        ("by the second key", provider.sign(&provider.second), CephIsStricter("it looks at the first key only")),
        ("by a key that is not published", provider.sign(&provider.unpublished), Refused),
    ] {
        let verdicts = clouds.judge(&jwt, |_| {}).await;
        if verdicts != expected.verdicts() {
            failures.push(format!("{name}: {verdicts:?} is not {expected:?}"));
        }
    }

    assert!(failures.is_empty(), "(stand-in, Ceph):\n{}", failures.join("\n"));
}

#[tokio::test]
#[ignore = "needs Ceph: cargo xtask test"]
async fn ceph_alone_wants_a_certificate_of_the_key() {
    let provider = Provider::start_without_certificates().await;
    let clouds = Clouds::trusting(&provider.url, &[provider::WALLET]).await;

    let verdicts = clouds.judge(&provider.sign(&provider.first), |_| {}).await;

    assert_eq!(verdicts, (Verdict::Accepted, Verdict::Refused));
}

#[tokio::test]
#[ignore = "needs Ceph: cargo xtask test"]
async fn ceph_and_the_stand_in_judge_access_alike() {
    let bench = Bench::start().await;
    let [adas, graces] = [bench.mint(&bench.ada).await, bench.mint(&bench.grace).await];
    let [own, other] = [&bench.ada, &bench.grace].map(|person| person.address().to_lowercase());

    let mut failures = Vec::new();
    for cloud in [&bench.clouds.stand_in, &bench.clouds.ceph] {
        let (keys, others_keys) = (cloud.keys(&adas).await, cloud.keys(&graces).await);
        let path = format!("/bots/{other}/a");
        let kept = Access { method: Method::PUT, path, keys: others_keys.clone() };
        assert_eq!(cloud.verdict_on_access(&kept).await, Verdict::Accepted);
        for (name, access, expected) in accesses(&keys, &others_keys, &own, &other) {
            let verdict = cloud.verdict_on_access(&access).await;
            if verdict != expected {
                failures.push(format!("{name}: {:?} is not {expected:?}", cloud.access(&access).await));
            }
        }
    }

    assert!(failures.is_empty(), "stand-in first, then Ceph:\n{}", failures.join("\n"));
}

/// What is expected of the stand-in and of Ceph.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Accepted,
    Refused,
    /// Ceph lets through what AWS, and so the stand-in, does not.
    CephIsLaxer(#[expect(dead_code, reason = "shown when it fails")] &'static str),
    /// Ceph was told more than the stand-in can be told.
    CephIsStricter(#[expect(dead_code, reason = "shown when it fails")] &'static str),
}

impl Expected {
    fn verdicts(self) -> (Verdict, Verdict) {
        match self {
            Self::Accepted => (Verdict::Accepted, Verdict::Accepted),
            Self::Refused => (Verdict::Refused, Verdict::Refused),
            Self::CephIsLaxer(_) => (Verdict::Refused, Verdict::Accepted),
            Self::CephIsStricter(_) => (Verdict::Accepted, Verdict::Refused),
        }
    }
}

fn jwts(forge: &Forge, of_somebody_else: String) -> Vec<(&'static str, String, Expected)> {
    use Expected::{Accepted, CephIsLaxer, CephIsStricter, Refused};

    let now = forge.claims()["iat"].as_i64().unwrap();
    let life = i64::try_from(LIFE.as_secs()).unwrap();
    let issuer = forge.claims()["iss"].as_str().unwrap().to_owned();
    let claims = |changed: Value| forge.with_claims(&changed);
    let tags = |tags: Value| claims(json!({"https://aws.amazon.com/tags": tags}));
    let not_checked = CephIsLaxer("Ceph does not look at it");
    vec![
        ("as the broker made it", forge.genuine(), Accepted),
        ("signed again by the broker's key", claims(json!({})), Accepted),
        ("the audience in an array", claims(json!({"aud": ["sts.amazonaws.com"]})), Accepted),
        ("signed by a stranger's key", forge.by_a_stranger(), Refused),
        ("another subject under the same signature", forge.tampered("sub", &json!("wallet:0x00")), Refused),
        ("another expiry under the same signature", forge.tampered("exp", &json!(now + 86_400)), Refused),
        ("alg none", forge.without_signature(), Refused),
        ("HS256 with the public key", forge.keyed_with_the_public_key(), Refused),
        ("expired a minute ago", claims(json!({"iat": now - 360, "nbf": now - 360, "exp": now - 60})), Refused),
        ("not before an hour from now", claims(json!({"nbf": now + 3600, "exp": now + 3600 + life})), Refused),
        ("another audience", claims(json!({"aud": "sts.example.com"})), Refused),
        ("an unknown issuer", claims(json!({"iss": "http://127.0.0.1:1"})), Refused),
        ("the issuer with a slash", claims(json!({"iss": format!("{issuer}/")})), Refused),
        ("no issuer", claims(json!({"iss": null})), Refused),
        ("no audience", claims(json!({"aud": null})), Refused),
        ("no subject", claims(json!({"sub": null})), Refused),
        ("not a JWT at all", "not-a-jwt".to_owned(), Refused),
        ("of a wallet that no policy names", of_somebody_else, CephIsStricter("its role lists who may assume it")),
        ("no expiry", claims(json!({"exp": null})), not_checked),
        ("no time of issue", claims(json!({"iat": null})), not_checked),
        ("neither nbf nor jti", claims(json!({"nbf": null, "jti": null})), Accepted),
        (
            "tags in a list",
            tags(json!([forge.claims()["https://aws.amazon.com/tags"]])),
            CephIsLaxer("a form of its own"),
        ),
        ("a tag as text", tags(json!({"principal_tags": {"team": "a"}})), CephIsLaxer("a form of its own")),
    ]
}

#[expect(clippy::type_complexity, reason = "a table")]
fn requests() -> Vec<(&'static str, fn(&mut Assume), Expected)> {
    use Expected::{Accepted, Refused};

    vec![
        ("nothing changed", |_| {}, Accepted),
        ("another role", |request| request.role_arn = "arn:aws:iam:::role/agentkeys-none".parse().unwrap(), Refused),
        ("a session name of one letter", |request| "a".clone_into(&mut request.session_name), Refused),
        ("a session name of two letters", |request| "ab".clone_into(&mut request.session_name), Accepted),
        ("longer than the role allows", |request| request.duration = seconds(43_200), Refused),
        ("as long as the role allows", |request| request.duration = seconds(3600), Accepted),
    ]
}

fn accesses(keys: &Keys, others: &Keys, own: &str, other: &str) -> Vec<(&'static str, Access, Verdict)> {
    use Verdict::{Accepted, Refused};

    let access = |method: Method, path: String| Access { method, path, keys: keys.clone() };
    let with = |keys: Keys| Access { method: Method::GET, path: format!("/bots/{own}/a"), keys };
    let listing = |prefix: &str| format!("?list-type=2&prefix={}", prefix.replace('/', "%2F"));
    let mut altered_token = keys.clone();
    altered_token.session_token = keys.session_token.as_deref().map(altered);
    vec![
        ("put own", access(Method::PUT, format!("/bots/{own}/a")), Accepted),
        ("get own", access(Method::GET, format!("/bots/{own}/a")), Accepted),
        ("head own", access(Method::HEAD, format!("/bots/{own}/a")), Accepted),
        ("list own", access(Method::GET, listing(&format!("bots/{own}/"))), Accepted),
        ("list deeper in own", access(Method::GET, listing(&format!("bots/{own}/deeper/"))), Accepted),
        ("put another's", access(Method::PUT, format!("/bots/{other}/a")), Refused),
        ("get another's", access(Method::GET, format!("/bots/{other}/a")), Refused),
        ("delete another's", access(Method::DELETE, format!("/bots/{other}/a")), Refused),
        ("list another's", access(Method::GET, listing(&format!("bots/{other}/"))), Refused),
        ("list all wallets", access(Method::GET, listing("bots/")), Refused),
        ("list without a prefix", access(Method::GET, "?list-type=2".to_owned()), Refused),
        ("put beside the wallets", access(Method::PUT, "/bots/a".to_owned()), Refused),
        ("put beside own", access(Method::PUT, format!("/bots/{own}x/a")), Refused),
        ("put at the top", access(Method::PUT, "/a".to_owned()), Refused),
        ("delete the bucket", access(Method::DELETE, String::new()), Refused),
        ("another secret", with(Keys { secret_access_key: "x".repeat(40), ..keys.clone() }), Refused),
        ("no session token", with(Keys { session_token: None, ..keys.clone() }), Refused),
        (
            "another's session token",
            with(Keys { session_token: others.session_token.clone(), ..keys.clone() }),
            Refused,
        ),
        ("an altered session token", with(altered_token), Refused),
        ("an unknown key", with(Keys { access_key_id: "ASIAAAAAAAAAAAAAAAAA".to_owned(), ..keys.clone() }), Refused),
        ("delete own", access(Method::DELETE, format!("/bots/{own}/a")), Accepted),
        ("get what is gone", access(Method::GET, format!("/bots/{own}/a")), Refused),
    ]
}

fn seconds(seconds: u32) -> SessionDuration {
    seconds.try_into().unwrap()
}

/// The same text with a character in its middle exchanged.
fn altered(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}
