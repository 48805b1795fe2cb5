use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A public key as RFC 7517 writes it; only P-256 keys for ES256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `EC`
    pub kty: String,
    /// `P-256`
    pub crv: String,
    /// The point's x, base64url.
    pub x: String,
    /// The point's y, base64url.
    pub y: String,
    /// `ES256`
    pub alg: String,
    /// `sig`
    #[serde(rename = "use")]
    pub use_: String,
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// A self-signed certificate of the key, standard base64 of DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5c: Option<Vec<String>>,
}

impl Jwk {
    /// The key whose uncompressed point is `point` (0x04 ‖ x ‖ y); `None` when it is not that shape.
    pub(crate) fn es256(point: &[u8]) -> Option<Self> {
        let [0x04, coordinates @ ..] = point else { return None };
        let (x, y) = coordinates.split_at_checked(32).filter(|(_, y)| y.len() == 32)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let kid = thumbprint(&x, &y);
        let text = str::to_owned;
        Some(Self { kty: text("EC"), crv: text("P-256"), x, y, alg: text("ES256"), use_: text("sig"), kid, x5c: None })
    }

    /// The uncompressed point, when this is a P-256 signing key under its own thumbprint.
    pub(crate) fn es256_point(&self) -> Option<[u8; 65]> {
        let plain = self.kty == "EC" && self.crv == "P-256" && self.alg == "ES256" && self.use_ == "sig";
        if !plain || self.kid != thumbprint(&self.x, &self.y) {
            return None;
        }
        let mut point = [0x04; 65];
        point[1..33].copy_from_slice(&coordinate(&self.x)?);
        point[33..].copy_from_slice(&coordinate(&self.y)?);
        Some(point)
    }
}

/// RFC 7638 section 3: SHA-256 of the required members in lexicographic order.
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

fn coordinate(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// A JWK Set (RFC 7517 section 5), the current key first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Es256Key, Purpose};

    #[test]
    fn a_key_goes_through_its_jwk_and_back() {
        let key = Es256Key::generate(Purpose::Oidc).unwrap();

        let read: Jwk = serde_json::from_str(&serde_json::to_string(key.public()).unwrap()).unwrap();

        assert_eq!(&read, key.public());
        assert!(read.es256_point().is_some());
    }

    #[test]
    fn a_jwk_under_another_kid_is_no_key() {
        let mut jwk = Es256Key::generate(Purpose::Oidc).unwrap().public().clone();
        jwk.kid = "other".to_owned();

        assert_eq!(jwk.es256_point(), None);
    }

    fn vectors(kind: &str, at_least: usize) -> Vec<serde_json::Value> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors.json");
        let mut vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let cases: Vec<_> = serde_json::from_value(vectors[kind].take()).unwrap();
        assert!(cases.len() >= at_least, "only {} of {kind}", cases.len());
        cases
    }

    fn published(key: &serde_json::Value) -> Jwk {
        let [kty, crv, x, y] = ["kty", "crv", "x", "y"].map(|name| key[name].as_str().unwrap().to_owned());
        let kid = thumbprint(&x, &y);
        Jwk { kty, crv, x, y, alg: "ES256".to_owned(), use_: "sig".to_owned(), kid, x5c: None }
    }

    #[test]
    fn keys_have_the_thumbprints_that_others_compute() {
        for case in vectors("thumbprints", 5) {
            assert_eq!(published(&case["jwk"]).kid, case["thumbprint"], "{case}");
        }
    }

    #[test]
    fn the_point_of_a_key_verifies_what_others_signed_with_it() {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};

        for case in vectors("es256", 2) {
            let point = published(&case["jwk"]).es256_point().unwrap();
            let (signed, signature) = case["compact"].as_str().unwrap().rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();

            let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).unwrap();

            assert!(key.verify_sig(signed.as_bytes(), &signature).is_ok(), "{case}");
            assert!(key.verify_sig(&signed.as_bytes()[1..], &signature).is_err(), "{case}");
        }
    }

    #[test]
    fn a_private_part_is_never_published() {
        let key = Es256Key::generate(Purpose::Oidc).unwrap();

        let json = serde_json::to_value(key.public()).unwrap();

        assert!(json.get("d").is_none());
    }
}
