use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{DeviceKey, Jwk};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const URL: &str = "https://broker.example.com/v1/session";
const TOKEN: &str = "aks_a.b.c";

/// A server's check, and a key that signs whatever it is told to.
struct Bench {
    check: HolderCheck,
    pair: EcdsaKeyPair,
}

impl Bench {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { check: HolderCheck::default(), pair }
    }

    fn jwk(&self) -> Jwk {
        Jwk::es256(self.pair.public_key().as_ref()).unwrap()
    }

    fn header(&self) -> Value {
        let Jwk { x, y, .. } = self.jwk();
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y}})
    }

    fn claims(&self) -> Value {
        let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(TOKEN));
        let jti = URL_SAFE_NO_PAD.encode(crate::random::<16>());
        let nonce = self.check.nonce(NOW);
        json!({"jti": jti, "htm": "GET", "htu": URL, "iat": NOW.as_unix(), "ath": ath, "nonce": nonce})
    }

    fn signed(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn proof(&self) -> String {
        self.signed(&self.header().to_string(), &self.claims().to_string())
    }

    fn present(&self, proof: &str) -> Result<(), HolderError> {
        let cnf = Confirmation { jkt: self.jwk().kid.parse().unwrap() };
        self.check.check(&presentation(Some(proof)), Some(&cnf), NOW)
    }
}

fn presentation(unverified_proof: Option<&str>) -> Presentation<'_> {
    Presentation { unverified_token: TOKEN, is_bound: true, unverified_proof, method: "GET", url: URL }
}

#[test]
fn the_proof_of_a_device_is_accepted_once() {
    let check = HolderCheck::default();
    let device = DeviceKey::generate().unwrap();
    let cnf = Confirmation { jkt: device.thumbprint() };
    let proof = device.prove("GET", URL, Some(TokenDigest::of(TOKEN)), Some(&check.nonce(NOW)), NOW).unwrap();

    let presented = presentation(Some(&proof));

    assert_eq!(check.check(&presented, Some(&cnf), NOW), Ok(()));
    assert_eq!(check.check(&presented, Some(&cnf), NOW), Err(HolderError::Replayed));
}

#[test]
fn a_bound_token_is_worth_nothing_without_a_proof() {
    let bench = Bench::new();
    let cnf = Confirmation { jkt: bench.jwk().kid.parse().unwrap() };
    let proof = bench.proof();
    let as_bearer = Presentation { is_bound: false, ..presentation(Some(&proof)) };

    assert_eq!(bench.check.check(&presentation(None), Some(&cnf), NOW), Err(HolderError::Required));
    assert_eq!(bench.check.check(&as_bearer, Some(&cnf), NOW), Err(HolderError::Required));
}

#[test]
fn a_token_without_a_key_is_a_bearer_and_nothing_else() {
    let bench = Bench::new();
    let proof = bench.proof();

    let as_bearer = Presentation { is_bound: false, ..presentation(None) };

    assert_eq!(bench.check.check(&as_bearer, None, NOW), Ok(()));
    assert_eq!(bench.check.check(&presentation(Some(&proof)), None, NOW), Err(HolderError::NotBound));
}

#[test]
fn a_proof_needs_a_nonce_of_this_server() {
    let bench = Bench::new();
    for nonce in [json!("AAAAAAAAAAAAAAAAAAAAAA"), json!(""), Value::Null] {
        let mut claims = bench.claims();
        claims["nonce"] = nonce;

        let proof = bench.signed(&bench.header().to_string(), &claims.to_string());

        assert_eq!(bench.present(&proof), Err(HolderError::UseNonce), "{claims}");
    }
}

#[test]
fn claims_for_another_request_or_of_another_type_are_refused_although_signed() {
    let bench = Bench::new();
    let now = NOW.as_unix();
    for (name, value) in [
        ("htm", json!("POST")),
        ("htm", json!("get")),
        ("htu", json!("https://signer.example.com/v1/session")),
        ("htu", json!("https://broker.example.com/v1/sessions")),
        ("htu", json!("http://broker.example.com/v1/session")),
        ("ath", json!(URL_SAFE_NO_PAD.encode(Sha256::digest("aks_other")))),
        ("ath", Value::Null),
        ("iat", json!(now + 61)),
        ("iat", json!(now - 61)),
        ("iat", json!(i64::MIN)),
        ("iat", json!(i64::MAX)),
        ("iat", json!(u64::MAX)),
        ("iat", json!(1e308)),
        ("iat", json!(now.to_string())),
        ("iat", Value::Null),
        ("jti", json!("")),
        ("jti", json!("x".repeat(257))),
        ("jti", json!(7)),
        ("jti", Value::Null),
    ] {
        let mut claims = bench.claims();
        claims[name] = value;

        let proof = bench.signed(&bench.header().to_string(), &claims.to_string());

        assert_eq!(bench.present(&proof), Err(HolderError::Invalid), "{claims}");
    }
}

#[test]
fn times_up_to_a_minute_apart_are_accepted() {
    let bench = Bench::new();
    for apart in [-60, 60] {
        let mut claims = bench.claims();
        claims["iat"] = json!(NOW.as_unix() + apart);

        assert_eq!(bench.present(&bench.signed(&bench.header().to_string(), &claims.to_string())), Ok(()), "{apart}");
    }
}

#[test]
fn any_header_but_that_of_an_es256_proof_with_a_public_key_is_refused_although_signed() {
    let bench = Bench::new();
    let header = bench.header().to_string();
    let key = |more: &str| header.replace(r#""kty":"EC""#, &format!(r#""kty":"EC",{more}"#));
    let stranger = Bench::new().header().to_string();
    assert_eq!(bench.present(&bench.signed(&header, &bench.claims().to_string())), Ok(()));

    for header in [
        header.replace("ES256", "none"),
        header.replace("ES256", "HS256"),
        header.replace("ES256", "RS256"),
        header.replace("dpop+jwt", "JWT"),
        header.replace("dpop+jwt", "agentkeys-session+jws"),
        header.replace("P-256", "P-384"),
        header.replace(r#""EC""#, r#""oct""#),
        header.replace(r#""alg""#, r#""crit":["exp"],"alg""#),
        header.replace(r#""alg":"ES256""#, r#""alg":"ES256","alg":"ES256""#),
        header.replace(r#""jwk""#, r#""jku""#),
        header.replace(&bench.jwk().x, "AAAA"),
        header.replace(&bench.jwk().x, &bench.jwk().y),
        key(r#""d":"AAAA""#),
        key(r#""d":null"#),
        stranger,
        "{}".to_owned(),
        String::new(),
    ] {
        let proof = bench.signed(&header, &bench.claims().to_string());

        assert_eq!(bench.present(&proof), Err(HolderError::Invalid), "{header}");
    }
}

#[test]
fn a_signature_that_is_stripped_foreign_or_written_otherwise_is_refused() {
    let bench = Bench::new();
    let stranger = Bench::new();
    let proof = bench.proof();
    let (signed, signature) = proof.rsplit_once('.').unwrap();
    let foreign = stranger.signed(&bench.header().to_string(), &bench.claims().to_string());
    let last = if signature.ends_with('A') { 'B' } else { 'A' };
    let non_canonical = format!("{}{last}", &proof[..proof.len() - 1]);

    for text in ["", ".", "..", signed, &format!("{signed}."), &format!("{proof}=="), &non_canonical, &foreign] {
        assert_eq!(bench.present(text), Err(HolderError::Invalid), "{text}");
    }
    assert_eq!(bench.present(&format!("{proof}{}", "A".repeat(4096))), Err(HolderError::Invalid));
    assert_eq!(bench.present(&proof), Ok(()));
}

#[test]
fn a_request_without_a_token_names_its_key() {
    let check = HolderCheck::default();
    let device = DeviceKey::generate().unwrap();
    let proof = device.prove("POST", URL, None, Some(&check.nonce(NOW)), NOW).unwrap();

    assert_eq!(check.holder(&proof, "POST", URL, NOW), Ok(device.thumbprint()));
    assert_eq!(check.holder(&proof, "POST", URL, NOW), Err(HolderError::Replayed));
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(text in "[A-Za-z0-9_.\\-]{0,200}|\\PC{0,80}") {
        let bench = Bench::new();
        prop_assert_eq!(bench.present(&text), Err(HolderError::Invalid));
    }
}
