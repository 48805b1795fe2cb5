use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{
    JsonWebKey, JsonWebKeySetUrl,
    core::{CoreJsonWebKey, CoreJsonWebKeySet},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    fetch::{FetchError, Fetcher},
    metadata::show,
};

/// More than any provider publishes, and few enough to look through for each token.
const MOST_KEYS: usize = 64;
/// From 2048 bits, as RFC 7518 section 3.3 asks, to what RSA takes a moment for.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// The keys under which a provider signs its ID tokens.
#[derive(Debug)]
pub(crate) struct Keys(CoreJsonWebKeySet);

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl Keys {
    pub(crate) async fn fetch(fetcher: Fetcher, url: JsonWebKeySetUrl) -> Result<Self, FetchError> {
        Self::parse(&show(fetcher, url.url()).await?).map_err(FetchError::Malformed)
    }

    /// The usable keys of a JWK Set; what is not one is passed over, as RFC 7517 section 5 asks.
    fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let published: Published = serde_json::from_slice(body).map_err(|_| "its JWK Set cannot be read")?;
        if published.keys.len() > MOST_KEYS {
            return Err("its JWK Set has too many keys");
        }
        let usable = published.keys.into_iter().filter(is_public_key);
        let keys: Vec<CoreJsonWebKey> = usable.filter_map(|key| serde_json::from_value(key).ok()).collect();
        if keys.is_empty() {
            return Err("its JWK Set has no key that can be used");
        }
        Ok(Self(CoreJsonWebKeySet::new(keys)))
    }

    /// Whether a key is called `kid`; without a name, any key may be meant.
    pub(crate) fn has(&self, kid: Option<&str>) -> bool {
        kid.is_none_or(|kid| self.0.keys().iter().any(|key| key.key_id().is_some_and(|own| own.as_str() == kid)))
    }

    pub(crate) fn set(&self) -> CoreJsonWebKeySet {
        self.0.clone()
    }
}

/// Whether it is the public half of a key whose every part has the size that it must have.
fn is_public_key(key: &Value) -> bool {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let has_size = |name: &str, size: usize| bytes(name).is_some_and(|bytes| bytes.len() == size);
    // A private half that is published is a secret no longer.
    if key.get("d").is_some() || key.get("k").is_some() {
        return false;
    }
    match (text("kty"), text("crv")) {
        (Some("RSA"), _) => {
            let modulus = bytes("n").map(|n| n.iter().skip_while(|byte| **byte == 0).count());
            modulus.is_some_and(|size| RSA_BYTES.contains(&size)) && bytes("e").is_some_and(|e| is_exponent(&e))
        }
        (Some("EC"), Some("P-256")) => has_size("x", 32) && has_size("y", 32),
        (Some("EC"), Some("P-384")) => has_size("x", 48) && has_size("y", 48),
        (Some("OKP"), Some("Ed25519")) => has_size("x", 32),
        _ => false,
    }
}

/// Odd, more than one, and small enough to be quick.
fn is_exponent(bytes: &[u8]) -> bool {
    let value = bytes.iter().fold(0, |value: u64, byte| (value << 8) | u64::from(*byte));
    bytes.len() <= 4 && value > 1 && value % 2 == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(size: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![0xab; size])
    }

    #[test]
    fn public_keys_of_the_right_sizes_are_taken() {
        for key in [
            json!({"kty": "RSA", "n": of(256), "e": "AQAB"}),
            json!({"kty": "RSA", "n": of(512), "e": "Aw"}),
            json!({"kty": "EC", "crv": "P-256", "x": of(32), "y": of(32)}),
            json!({"kty": "EC", "crv": "P-384", "x": of(48), "y": of(48)}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": of(32)}),
        ] {
            assert!(is_public_key(&key), "{key}");
        }
    }

    #[test]
    fn whatever_else_a_set_contains_is_no_key() {
        for key in [
            json!(null),
            json!("RSA"),
            json!({}),
            json!({"kty": "oct", "k": of(32)}),
            json!({"kty": "RSA", "n": of(128), "e": "AQAB"}),
            json!({"kty": "RSA", "n": of(1024), "e": "AQAB"}),
            json!({"kty": "RSA", "n": of(256), "e": "AQ"}),
            json!({"kty": "RSA", "n": of(256), "e": "Ag"}),
            json!({"kty": "RSA", "n": of(256), "e": ""}),
            json!({"kty": "RSA", "n": of(256), "e": of(256)}),
            json!({"kty": "RSA", "n": of(256), "e": "AQAB", "d": of(256)}),
            json!({"kty": "RSA", "n": 7, "e": "AQAB"}),
            json!({"kty": "EC", "crv": "P-256", "x": of(31), "y": of(33)}),
            json!({"kty": "EC", "crv": "P-256", "x": of(32)}),
            json!({"kty": "EC", "crv": "P-521", "x": of(66), "y": of(66)}),
            json!({"kty": "EC", "crv": "secp256k1", "x": of(32), "y": of(32)}),
            json!({"kty": "EC", "crv": "P-256", "x": of(32), "y": of(32), "d": of(32)}),
            json!({"kty": "OKP", "crv": "X25519", "x": of(32)}),
        ] {
            assert!(!is_public_key(&key), "{key}");
        }
    }

    #[test]
    fn a_set_without_a_usable_key_or_with_too_many_is_no_set() {
        let key = json!({"kty": "EC", "crv": "P-256", "x": of(32), "y": of(32)});
        let set = |keys: Vec<Value>| Keys::parse(json!({ "keys": keys }).to_string().as_bytes()).is_ok();

        assert!(set(vec![key.clone(), json!({"kty": "new"})]));
        assert!(set(vec![key.clone(); MOST_KEYS]));
        assert!(!set(vec![key; MOST_KEYS + 1]));
        assert!(!set(vec![json!({"kty": "new"})]));
        assert!(!set(vec![]));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_of_key_sets_panic(text in "\\PC{0,60}", n in "[A-Za-z0-9_=-]{0,400}") {
            let _ = Keys::parse(text.as_bytes());
            let _ = Keys::parse(json!({"keys": [{"kty": "RSA", "n": n, "e": text}, text]}).to_string().as_bytes());
        }
    }
}
