//! Vectors that others published, in the folder named by `AGENTKEYS_VECTORS`; skipped without it.

use std::{fs, path::PathBuf};

use agentkeys_crypto::{EvmSignature, Jwk, JwkSet, KeyParameters, TokenError, TokenVerifier};
use agentkeys_types::Timestamp;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::parts;

#[test]
fn no_jws_of_others_is_a_session_token_even_under_a_key_that_counts() {
    let Some(vectors) = Vectors::find() else { return };

    for (file, count) in [
        ("wycheproof-jose/json_web_signature_test.json", 401),
        ("wycheproof-jose/json_web_key_test.json", 26),
        ("wycheproof-jose/json_web_crypto_test.json", 83),
    ] {
        let cases = vectors.wycheproof(file, count);

        for (group, case) in &cases {
            let verifier = TokenVerifier::new("https://issuer.example".to_owned(), &keys_of(group));
            for token in ["jws", "jwe", "jwt"].iter().filter_map(|form| case[form].as_str()) {
                for unverified_token in [token.to_owned(), format!("aks_{token}")] {
                    let refusal = verifier.verify(&unverified_token, Timestamp::from_unix(0)).unwrap_err();

                    assert_eq!(refusal, TokenError::Invalid, "{file} {}", case["tcId"]);
                }
            }
        }
    }
}

#[test]
fn the_keys_of_these_cases_do_count() {
    let Some(vectors) = Vectors::find() else { return };
    let cases = vectors.wycheproof("wycheproof-jose/json_web_signature_test.json", 401);

    let counting = cases
        .iter()
        .filter(|(group, _)| TokenVerifier::new("https://issuer.example".to_owned(), &keys_of(group)).has_keys());

    // All that are signed with P-256, whatever their verdict.
    assert_eq!(counting.count(), 41);
}

#[test]
fn the_wallets_of_signed_challenges_are_recovered() {
    let Some(vectors) = Vectors::find() else { return };

    for (name, case) in vectors.siwe("verification_positive.json", 4) {
        let signature = EvmSignature::parse(text(&case, "signature")).unwrap();

        let recovered = signature.recover(challenge(&case).as_bytes()).unwrap();

        assert_eq!(recovered.to_string(), text(&case, "address"), "{name}");
    }
}

#[test]
fn wrong_signatures_and_those_of_contracts_recover_no_such_wallet() {
    let Some(vectors) = Vectors::find() else { return };
    let negative = vectors.siwe("verification_negative.json", 10);
    let wrong = negative.into_iter().filter(|(name, _)| ["malformed signature", "wrong signature"].contains(&&**name));
    let wrong: Vec<_> = wrong.map(|(name, case)| (name, challenge(&case), case)).collect();
    assert_eq!(wrong.len(), 2);
    let contracts = vectors.siwe("eip1271.json", 2).into_iter();
    let contracts = contracts.map(|(name, case)| (name, text(&case, "message").to_owned(), case));

    for (name, message, case) in wrong.into_iter().chain(contracts) {
        // The second line of a challenge is its address.
        let address = message.lines().nth(1).unwrap();
        let signature = EvmSignature::parse(text(&case, "signature"));

        let recovered = signature.and_then(|signature| signature.recover(message.as_bytes()));

        assert!(recovered.is_err() || recovered.unwrap().to_string() != address, "{name}");
    }
}

/// The folder.
struct Vectors(PathBuf);

impl Vectors {
    #[expect(clippy::print_stderr, reason = "a test can tell in no other way that it was skipped")]
    fn find() -> Option<Self> {
        let folder = parts::look_up("AGENTKEYS_VECTORS");
        if folder.is_none() {
            eprintln!("SKIPPED: AGENTKEYS_VECTORS does not name the folder of the public vectors");
        }
        folder.map(|folder| Self(folder.into()))
    }

    /// Every case with its group; their number must not shrink.
    fn wycheproof(&self, file: &str, count: usize) -> Vec<(Value, Value)> {
        let groups = self.read(file)["testGroups"].take();
        let cases: Vec<_> = groups
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["tests"].as_array().unwrap().iter().map(|case| (group.clone(), case.clone())))
            .collect();
        assert!(cases.len() >= count, "{file} has shrunk to {}", cases.len());
        cases
    }

    /// Every case with its name; their number must not shrink.
    fn siwe(&self, file: &str, count: usize) -> Vec<(String, Value)> {
        let cases: Vec<_> = self.read(&format!("siwe/{file}")).as_object().unwrap().clone().into_iter().collect();
        assert!(cases.len() >= count, "{file} has shrunk to {}", cases.len());
        cases
    }

    fn read(&self, file: &str) -> Value {
        serde_json::from_slice(&fs::read(self.0.join(file)).unwrap()).unwrap()
    }
}

/// The P-256 keys of a group, named as ours are: so nothing but the token itself is a reason to refuse it.
fn keys_of(group: &Value) -> JwkSet {
    let named = ["public", "private"].map(|half| &group[half]);
    let keys = named.into_iter().flat_map(|key| key["keys"].as_array().cloned().unwrap_or_else(|| vec![key.clone()]));
    JwkSet { keys: keys.filter_map(|key| as_ours(&key)).collect() }
}

fn as_ours(key: &Value) -> Option<Jwk> {
    let [x, y] = ["x", "y"].map(|name| key[name].as_str().unwrap_or_default().to_owned());
    let thumbprint = Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
    let kid = URL_SAFE_NO_PAD.encode(thumbprint);
    let [crv, alg, use_] = ["P-256", "ES256", "sig"].map(str::to_owned);
    let parameters = KeyParameters::Ec { crv, x, y };
    (key["crv"] == "P-256").then_some(Jwk { parameters, alg, use_, kid, x5c: None })
}

/// The EIP-4361 text of a case.
fn challenge(case: &Value) -> String {
    let mut lines = vec![
        format!("{} wants you to sign in with your Ethereum account:", text(case, "domain")),
        text(case, "address").to_owned(),
        String::new(),
    ];
    lines.extend(case["statement"].as_str().map(str::to_owned));
    lines.push(String::new());
    lines
        .extend([("URI", "uri"), ("Version", "version")].map(|(name, field)| format!("{name}: {}", text(case, field))));
    lines.push(format!("Chain ID: {}", case["chainId"].as_u64().unwrap_or(1)));
    for (name, field) in [
        ("Nonce", "nonce"),
        ("Issued At", "issuedAt"),
        ("Expiration Time", "expirationTime"),
        ("Not Before", "notBefore"),
        ("Request ID", "requestId"),
    ] {
        lines.extend(case[field].as_str().map(|value| format!("{name}: {value}")));
    }
    if let Some(resources) = case["resources"].as_array() {
        lines.push("Resources:".to_owned());
        lines.extend(resources.iter().map(|resource| format!("- {}", resource.as_str().unwrap())));
    }
    lines.join("\n")
}

fn text<'c>(case: &'c Value, field: &str) -> &'c str {
    case[field].as_str().unwrap_or_else(|| panic!("no {field} in {case}"))
}
