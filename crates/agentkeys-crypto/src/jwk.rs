use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A public key as RFC 7517 writes it: P-256 for ES256, or RSA for RS256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// The key itself, whose members stand beside the others.
    #[serde(flatten)]
    pub parameters: KeyParameters,
    /// `ES256` or `RS256`
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

/// What a public key consists of (RFC 7518 section 6), by its `kty`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum KeyParameters {
    /// A point on a curve.
    #[serde(rename = "EC")]
    Ec {
        /// `P-256`
        crv: String,
        /// The point's x, base64url.
        x: String,
        /// The point's y, base64url.
        y: String,
    },
    /// An RSA key.
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus, base64url.
        n: String,
        /// The exponent, base64url.
        e: String,
    },
}

impl Jwk {
    /// The key whose uncompressed point is `point` (0x04 ‖ x ‖ y); `None` when it is not that shape.
    pub(crate) fn es256(point: &[u8]) -> Option<Self> {
        let [0x04, coordinates @ ..] = point else { return None };
        let (x, y) = coordinates.split_at_checked(32).filter(|(_, y)| y.len() == 32)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        Some(Self::signing(KeyParameters::Ec { crv: "P-256".to_owned(), x, y }, "ES256"))
    }

    /// The RSA key of this modulus and exponent, both big-endian without leading zeros.
    pub(crate) fn rs256(modulus: &[u8], exponent: &[u8]) -> Self {
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        Self::signing(KeyParameters::Rsa { n, e }, "RS256")
    }

    fn signing(parameters: KeyParameters, alg: &str) -> Self {
        let kid = parameters.thumbprint();
        Self { parameters, alg: alg.to_owned(), use_: "sig".to_owned(), kid, x5c: None }
    }

    /// The uncompressed point, when this is a P-256 signing key under its own thumbprint.
    pub(crate) fn es256_point(&self) -> Option<[u8; 65]> {
        let KeyParameters::Ec { crv, x, y } = &self.parameters else { return None };
        if crv != "P-256" || !self.signs_with("ES256") {
            return None;
        }
        let mut point = [0x04; 65];
        point[1..33].copy_from_slice(&coordinate(x)?);
        point[33..].copy_from_slice(&coordinate(y)?);
        Some(point)
    }

    /// Whether this is a key for signatures of this algorithm, under its own thumbprint.
    pub(crate) fn signs_with(&self, alg: &str) -> bool {
        let fits = match &self.parameters {
            KeyParameters::Ec { .. } => alg == "ES256",
            KeyParameters::Rsa { .. } => alg == "RS256",
        };
        fits && self.alg == alg && self.use_ == "sig" && self.kid == self.parameters.thumbprint()
    }
}

impl KeyParameters {
    /// RFC 7638 section 3: SHA-256 of the required members in lexicographic order.
    fn thumbprint(&self) -> String {
        let members = match self {
            Self::Ec { crv, x, y } => format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(Sha256::digest(members))
    }
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
        let parameters: KeyParameters = serde_json::from_value(key.clone()).unwrap();
        Jwk::signing(parameters, "ES256")
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

    /// RFC 7638 section 3.1.
    #[test]
    fn an_rsa_key_has_the_thumbprint_of_the_specification() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
                 oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA\
                 ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-\
                 kEgU8awapJzKnqDKgw";

        let key = Jwk::rs256(&URL_SAFE_NO_PAD.decode(n).unwrap(), &[1, 0, 1]);

        assert_eq!(key.kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let json = serde_json::to_value(&key).unwrap();
        assert_eq!((&json["kty"], &json["e"]), (&"RSA".into(), &"AQAB".into()));
        assert_eq!(serde_json::from_value::<Jwk>(json).unwrap(), key);
    }

    #[test]
    fn a_key_of_a_kind_that_lacks_a_member_or_is_unknown_is_not_read() {
        for text in [
            r#"{"kty":"EC","crv":"P-256","x":"AA","alg":"ES256","use":"sig","kid":"k"}"#,
            r#"{"kty":"RSA","n":"AA","alg":"RS256","use":"sig","kid":"k"}"#,
            r#"{"kty":"oct","k":"AA","alg":"HS256","use":"sig","kid":"k"}"#,
            r#"{"crv":"P-256","x":"AA","y":"AA","alg":"ES256","use":"sig","kid":"k"}"#,
        ] {
            assert!(serde_json::from_str::<Jwk>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_private_part_is_never_published() {
        let key = Es256Key::generate(Purpose::Oidc).unwrap();

        let json = serde_json::to_value(key.public()).unwrap();

        assert!(json.get("d").is_none());
    }
}
