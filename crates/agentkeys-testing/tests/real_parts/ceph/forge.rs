//! JWTs that the broker would never sign, under the broker's own key.

use std::fs;

use agentkeys_testing::TestBroker;
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// Makes JWTs out of a genuine one.
pub(crate) struct Forge {
    genuine: String,
    header: Value,
    claims: Value,
    key: EcdsaKeyPair,
}

impl Forge {
    /// Takes the key from the broker's folder.
    pub(crate) fn new(broker: &TestBroker, genuine: &str) -> Self {
        let text = fs::read(broker.state().join("keys/oidc.pem")).unwrap();
        let [header, claims] = [0, 1].map(|index| {
            let part = genuine.split('.').nth(index).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        });
        let key = key_of(pem::parse(text).unwrap().contents());
        Self { genuine: genuine.to_owned(), header, claims, key }
    }

    /// The JWT as the broker made it.
    pub(crate) fn genuine(&self) -> String {
        self.genuine.clone()
    }

    /// The claims as the broker made them.
    pub(crate) fn claims(&self) -> &Value {
        &self.claims
    }

    /// Other claims, signed by the broker's key: `null` takes a claim away.
    pub(crate) fn with_claims(&self, changed: &Value) -> String {
        let mut claims = self.claims.clone();
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        sign(&self.header, &claims, &self.key)
    }

    /// The same claims, signed by a stranger's key that says it is the broker's.
    pub(crate) fn by_a_stranger(&self) -> String {
        let fresh = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        sign(&self.header, &self.claims, &key_of(fresh.as_ref()))
    }

    /// Other claims under the signature of the genuine ones.
    pub(crate) fn tampered(&self, name: &str, value: &Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value.clone();
        let signature = self.genuine.rsplit_once('.').unwrap().1;
        format!("{}.{signature}", unsigned(&self.header, &claims))
    }

    /// The same claims under `alg: none`, without a signature.
    pub(crate) fn without_signature(&self) -> String {
        format!("{}.", unsigned(&self.with_algorithm("none"), &self.claims))
    }

    /// The same claims under HS256, keyed with the public key as everybody can read it.
    pub(crate) fn keyed_with_the_public_key(&self) -> String {
        let text = unsigned(&self.with_algorithm("HS256"), &self.claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.public_key().as_ref());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())))
    }

    fn with_algorithm(&self, algorithm: &str) -> Value {
        let mut header = self.header.clone();
        header["alg"] = algorithm.into();
        header
    }
}

fn sign(header: &Value, claims: &Value, key: &EcdsaKeyPair) -> String {
    let text = unsigned(header, claims);
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn unsigned(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

fn key_of(pkcs8: &[u8]) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap()
}
