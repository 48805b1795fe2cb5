use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use agentkeys_types::Timestamp;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{
    ClientId, IssuerUrl, Nonce,
    core::{CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm},
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};

const LARGEST: usize = 64 * 1024;
const LONGEST_KID: usize = 256;
/// How far the provider's clock may be from ours.
const LEEWAY: i64 = 30;
/// How old a token may be that comes from the token endpoint at this moment, beside the leeway.
const OLDEST: i64 = 10 * 60;
/// The end of the year 9999: a later date is none.
const END_OF_TIME: i64 = 253_402_300_799;
/// What makes a token bring or name its own key, change what is signed, or be something else than it seems.
const FORBIDDEN_PARAMETERS: [&str; 9] = ["b64", "crit", "cty", "enc", "jku", "jwk", "x5c", "x5u", "zip"];

/// Why an ID token proves nothing: one sentence for the log, without a word of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaw(pub(crate) &'static str);

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// What an ID token must say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'e> {
    pub(crate) issuer: &'e IssuerUrl,
    pub(crate) client_id: &'e str,
    pub(crate) nonce: &'e str,
    pub(crate) algorithms: &'e [CoreJwsSigningAlgorithm],
    pub(crate) now: Timestamp,
}

/// An ID token that says what it must, strictly in the form that it must have; whether that is true, its signature
/// will tell.
#[derive(Debug)]
pub(crate) struct UnverifiedIdToken {
    token: CoreIdToken,
    kid: Option<String>,
}

impl UnverifiedIdToken {
    /// Reads a token, without asking anybody for a key.
    pub(crate) fn parse(text: &str, expected: &Expected<'_>) -> Result<Self, Flaw> {
        if text.len() > LARGEST {
            return Err(Flaw("it is too large"));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Flaw("it has not three parts"));
        };
        if signature.is_empty() || URL_SAFE_NO_PAD.decode(signature).is_err() {
            return Err(Flaw("its signature is not base64url"));
        }
        let kid = check_header(&members(header).ok_or(Flaw("its header is no JSON object"))?, expected.algorithms)?;
        check_claims(&members(payload).ok_or(Flaw("its payload is no JSON object"))?, expected)?;
        let token = text.parse().map_err(|_| Flaw("its claims are not of the types that they must be"))?;
        Ok(Self { token, kid })
    }

    /// Which key has signed it, as it says itself.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The claims, when one of `keys` has signed them.
    pub(crate) fn verify(&self, keys: CoreJsonWebKeySet, expected: &Expected<'_>) -> Result<&CoreIdTokenClaims, Flaw> {
        let client_id = ClientId::new(expected.client_id.to_owned());
        let checked_at = expected.now.as_unix().saturating_sub(LEEWAY).max(0).unsigned_abs();
        let verifier = CoreIdTokenVerifier::new_public_client(client_id, expected.issuer.clone(), keys)
            .set_allowed_algs(expected.algorithms.iter().cloned())
            .set_time_fn(move || (UNIX_EPOCH + Duration::from_secs(checked_at)).into());
        let nonce = Nonce::new(expected.nonce.to_owned());
        // What the verifier says repeats parts of the token.
        self.token.claims(&verifier, &nonce).map_err(|_| Flaw("its signature is by none of the provider's keys"))
    }
}

/// Whether ID tokens signed by `algorithm` are taken, if the provider says that it uses it.
pub(crate) fn is_acceptable(algorithm: &CoreJwsSigningAlgorithm) -> bool {
    ALGORITHMS.iter().any(|(_, acceptable)| acceptable == algorithm)
}

/// By private key alone, and only what the verifier knows.
const ALGORITHMS: [(&str, CoreJwsSigningAlgorithm); 9] = [
    ("ES256", CoreJwsSigningAlgorithm::EcdsaP256Sha256),
    ("ES384", CoreJwsSigningAlgorithm::EcdsaP384Sha384),
    ("EdDSA", CoreJwsSigningAlgorithm::EdDsa),
    ("PS256", CoreJwsSigningAlgorithm::RsaSsaPssSha256),
    ("PS384", CoreJwsSigningAlgorithm::RsaSsaPssSha384),
    ("PS512", CoreJwsSigningAlgorithm::RsaSsaPssSha512),
    ("RS256", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256),
    ("RS384", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384),
    ("RS512", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512),
];

/// Checks a header, and returns its `kid`.
fn check_header(header: &Members, algorithms: &[CoreJwsSigningAlgorithm]) -> Result<Option<String>, Flaw> {
    if FORBIDDEN_PARAMETERS.iter().any(|name| header.0.contains_key(*name)) {
        return Err(Flaw("its header has a parameter that it must not have"));
    }
    let named = header.text("alg").and_then(|alg| ALGORITHMS.iter().find(|(name, _)| *name == alg));
    if named.is_none_or(|(_, algorithm)| !algorithms.contains(algorithm)) {
        return Err(Flaw("its algorithm is none that the provider says and we accept"));
    }
    match header.0.get("typ") {
        None => {}
        Some(Value::String(typ)) if typ.eq_ignore_ascii_case("JWT") => {}
        Some(_) => return Err(Flaw("its type is not JWT")),
    }
    match header.0.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if is_kid(kid) => Ok(Some(kid.clone())),
        Some(_) => Err(Flaw("its kid is no name of a key")),
    }
}

/// A name, as opposed to something that would be opened, fetched or asked a database for.
fn is_kid(kid: &str) -> bool {
    (1..=LONGEST_KID).contains(&kid.len())
        && !kid.starts_with('/')
        && !kid.contains("..")
        && !kid.contains("://")
        && !kid.contains(|character: char| character == '\\' || character.is_control())
}

fn check_claims(claims: &Members, expected: &Expected<'_>) -> Result<(), Flaw> {
    let now = expected.now.as_unix();
    let is_us = |value: &Value| value.as_str() == Some(expected.client_id);
    if claims.text("iss") != Some(expected.issuer.as_str()) {
        return Err(Flaw("its issuer is another"));
    }
    let is_for_us = match claims.0.get("aud") {
        Some(Value::Array(audiences)) => audiences.len() == 1 && audiences.iter().all(is_us),
        Some(audience) => is_us(audience),
        None => false,
    };
    if !is_for_us || !claims.0.get("azp").is_none_or(is_us) {
        return Err(Flaw("it is not for us, or not for us alone"));
    }
    if claims.text("nonce") != Some(expected.nonce) {
        return Err(Flaw("it is not of this sign-in"));
    }
    if claims.text("sub").is_none_or(str::is_empty) {
        return Err(Flaw("it names no subject"));
    }
    let (Some(expires_at), Some(issued_at)) = (claims.date("exp"), claims.date("iat")) else {
        return Err(Flaw("it does not say in whole seconds when it was issued and when it expires"));
    };
    if expires_at <= now - LEEWAY {
        return Err(Flaw("it has expired"));
    }
    if issued_at > now + LEEWAY {
        return Err(Flaw("it is from the future"));
    }
    if issued_at < now - OLDEST - LEEWAY {
        return Err(Flaw("it is too old"));
    }
    let starts_in_time = claims.date("nbf").is_some_and(|starts_at| starts_at <= now + LEEWAY);
    if claims.0.contains_key("nbf") && !starts_in_time {
        return Err(Flaw("it does not count yet"));
    }
    Ok(())
}

/// The members of a JSON object that names none of them twice.
struct Members(Map<String, Value>);

impl Members {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A date in whole seconds, written as a whole number.
    fn date(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64().filter(|seconds| (0..=END_OF_TIME).contains(seconds))
    }
}

/// The object that is a part of a token: base64url without padding or stray bits, then JSON.
fn members(part: &str) -> Option<Members> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is given twice"));
            }
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_797_933_600;

    fn token(header: &str, payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode(payload), encode("signature"))
    }

    fn claims() -> Value {
        json!({"iss": "https://a.example", "aud": "us", "sub": "ada", "nonce": "n", "exp": NOW + 60, "iat": NOW})
    }

    fn parse(text: &str) -> Result<UnverifiedIdToken, Flaw> {
        let issuer = IssuerUrl::new("https://a.example".to_owned()).unwrap();
        let algorithms = [CoreJwsSigningAlgorithm::EcdsaP256Sha256];
        let now = Timestamp::from_unix(NOW);
        let expected = Expected { issuer: &issuer, client_id: "us", nonce: "n", algorithms: &algorithms, now };
        UnverifiedIdToken::parse(text, &expected)
    }

    fn with(name: &str, value: Value) -> Result<UnverifiedIdToken, Flaw> {
        let mut claims = claims();
        claims[name] = value;
        parse(&token(r#"{"alg":"ES256"}"#, &claims.to_string()))
    }

    #[test]
    fn the_leeway_of_every_date_is_thirty_seconds() {
        assert!(with("exp", json!(NOW - 29)).is_ok());
        assert_eq!(with("exp", json!(NOW - 30)).unwrap_err(), Flaw("it has expired"));
        assert!(with("iat", json!(NOW + 30)).is_ok());
        assert_eq!(with("iat", json!(NOW + 31)).unwrap_err(), Flaw("it is from the future"));
        assert!(with("iat", json!(NOW - 630)).is_ok());
        assert_eq!(with("iat", json!(NOW - 631)).unwrap_err(), Flaw("it is too old"));
        assert!(with("nbf", json!(NOW + 30)).is_ok());
        assert_eq!(with("nbf", json!(NOW + 31)).unwrap_err(), Flaw("it does not count yet"));
    }

    #[test]
    fn a_date_is_a_whole_number_of_seconds() {
        for name in ["exp", "iat", "nbf"] {
            for value in
                [json!(NOW.to_string()), json!(1_797_933_600.5), json!(1e308), json!(-1), json!(null), json!([NOW])]
            {
                assert!(with(name, value.clone()).is_err(), "{name}: {value}");
            }
        }
        assert!(with("exp", json!(u64::MAX)).is_err());
        assert!(with("exp", json!(i64::MAX)).is_err());
    }

    #[test]
    fn a_name_that_is_given_twice_makes_a_token_unreadable() {
        let claims = claims().to_string();
        let twice = claims.replacen('{', r#"{"sub":"mallory","#, 1);

        assert!(parse(&token(r#"{"alg":"ES256"}"#, &claims)).is_ok());
        assert!(parse(&token(r#"{"alg":"ES256","alg":"ES256"}"#, &claims)).is_err());
        assert!(parse(&token(r#"{"alg":"ES256"}"#, &twice)).is_err());
    }

    #[test]
    fn a_token_has_three_parts_in_strict_base64url() {
        let good = token(r#"{"alg":"ES256"}"#, &claims().to_string());
        let (head, signature) = good.rsplit_once('.').unwrap();

        assert!(parse(&good).is_ok());
        for text in [
            head.to_owned(),
            format!("{good}."),
            format!("{good}.x"),
            format!("{head}."),
            format!("{good}="),
            format!("{good}\n"),
            format!(" {good}"),
            format!("{head}.+/{signature}"),
            // The last character of one byte says four bits that nobody reads.
            format!("{head}.QR"),
            format!("{head}.{}", "A".repeat(LARGEST)),
        ] {
            assert!(parse(&text).is_err(), "{}", &text[text.len().saturating_sub(80)..]);
        }
    }

    #[test]
    fn a_kid_is_a_name_and_no_way_to_somewhere() {
        for kid in
            ["1", "2011-04-29", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "a+b/c=", "key.1", &"k".repeat(256)]
        {
            assert!(is_kid(kid), "{kid}");
        }
        for kid in [
            "",
            "../../dev/null",
            "a/../b",
            "/etc/passwd",
            "\\\\host\\share",
            "c:\\key",
            "https://a.example/key",
            "a\0b",
            "a\nb",
            &"k".repeat(257),
        ] {
            assert!(!is_kid(kid), "{kid}");
        }
    }

    #[test]
    fn an_algorithm_is_taken_under_the_name_that_it_has_in_json() {
        for (name, algorithm) in ALGORITHMS {
            assert_eq!(serde_json::to_value(&algorithm).unwrap(), name);
        }
        assert!(!is_acceptable(&CoreJwsSigningAlgorithm::None));
        assert!(!is_acceptable(&CoreJwsSigningAlgorithm::HmacSha256));
    }

    fn json_text() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            "-?[0-9]{1,25}(\\.[0-9]{1,3})?(e[0-9]{1,3})?",
            "\"[a-z0-9/:.\\\\]{0,8}\"",
            Just("true".to_owned()),
            Just("\"us\"".to_owned()),
            Just("\"ES256\"".to_owned()),
        ];
        let value = leaf.prop_recursive(3, 12, 3, |inner| {
            prop::collection::vec(inner, 0..3).prop_map(|all| format!("[{}]", all.join(",")))
        });
        let name = "alg|kid|typ|iss|aud|azp|sub|nonce|exp|iat|nbf|email|email_verified|[a-z]{1,3}";
        prop::collection::vec((name, value), 0..10).prop_map(|members| {
            let members: Vec<_> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_of_tokens_panic(text in "\\PC{0,80}|[A-Za-z0-9_=-]{0,40}(\\.[A-Za-z0-9_=-]{0,40}){0,4}") {
            prop_assert!(parse(&text).is_err());
        }

        #[test]
        fn no_header_and_no_claims_make_the_reader_of_tokens_panic(header in json_text(), payload in json_text(), extra in json_text()) {
            let _ = parse(&token(&header, &payload));
            let _ = parse(&token(r#"{"alg":"ES256"}"#, &payload));
            // Whatever follows the claims that count, they are what openidconnect is given.
            let all = claims().to_string().replacen('}', ",", 1) + extra.strip_prefix('{').unwrap_or_default();
            let _ = parse(&token(r#"{"alg":"ES256"}"#, &all));
        }
    }
}
