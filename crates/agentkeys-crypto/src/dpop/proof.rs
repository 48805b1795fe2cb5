use agentkeys_types::{KeyThumbprint, Timestamp, TokenDigest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use url::Url;

use crate::Jwk;

/// How far the clocks of device and server may be apart, in seconds.
const LEEWAY: u64 = 60;
/// Longer than any proof that is meant well, short enough to refuse cheaply.
const LONGEST_PROOF: usize = 4096;
const LONGEST_ID: usize = 256;

/// What a proof says (RFC 9449 section 4.2). Claims of other names say nothing here.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) jti: String,
    pub(super) htm: String,
    pub(super) htu: String,
    pub(super) iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ath: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<String>,
}

/// The protected header of every proof by the key `jwk`, encoded.
pub(super) fn header(jwk: &Jwk) -> String {
    let (x, y) = (&jwk.x, &jwk.y);
    let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","typ":"dpop+jwt","jwk":{jwk}}}"#))
}

/// A protected header as anybody may write it.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    jwk: HeaderKey,
    /// Extensions that must be understood; none is.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

#[derive(Deserialize)]
struct HeaderKey {
    kty: String,
    crv: String,
    x: String,
    y: String,
    /// A private part, which nobody may send.
    #[serde(default, deserialize_with = "present")]
    d: bool,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// A key that a proof names, parsed once.
#[derive(Debug)]
pub(super) struct ProofKey {
    pub(super) thumbprint: KeyThumbprint,
    key: ParsedPublicKey,
}

impl ProofKey {
    /// The key that an encoded protected header names; `None` when it is not the header of an ES256 proof.
    pub(super) fn of_header(encoded: &str) -> Option<Self> {
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?;
        let HeaderKey { kty, crv, x, y, d } = header.jwk;
        if header.typ != "dpop+jwt" || header.alg != "ES256" || header.crit || d || kty != "EC" || crv != "P-256" {
            return None;
        }
        let mut point = vec![0x04];
        for coordinate in [&x, &y] {
            let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(coordinate).ok()?.try_into().ok()?;
            point.extend(bytes);
        }
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).ok()?;
        Some(Self { thumbprint: Jwk::es256(&point)?.kid.parse().ok()?, key })
    }
}

/// A proof in its three parts, nothing of it verified.
#[derive(Clone, Copy)]
pub(super) struct UnverifiedProof<'p> {
    pub(super) header: &'p str,
    payload: &'p str,
    signed: &'p str,
    signature: &'p str,
}

/// The request that a proof must be for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proven<'r> {
    pub(super) method: &'r str,
    pub(super) url: &'r str,
    pub(super) token: Option<TokenDigest>,
    pub(super) now: Timestamp,
}

impl<'p> UnverifiedProof<'p> {
    pub(super) fn parse(text: &'p str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.').filter(|_| text.len() <= LONGEST_PROOF)?;
        let (header, payload) = signed.split_once('.')?;
        Some(Self { header, payload, signed, signature })
    }

    /// What the proof says, when it is by `key` and for this request; its nonce and its id are for the caller to judge.
    pub(super) fn verify(self, key: &ProofKey, request: &Proven<'_>) -> Option<Claims> {
        let signature = URL_SAFE_NO_PAD.decode(self.signature).ok()?;
        key.key.verify_sig(self.signed.as_bytes(), &signature).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(self.payload).ok()?).ok()?;
        let token = request.token.map(|TokenDigest(digest)| URL_SAFE_NO_PAD.encode(digest));
        let is_for_it = claims.htm == request.method
            && is_same_url(&claims.htu, request.url)
            && (token.is_none() || claims.ath == token)
            && claims.iat.abs_diff(request.now.as_unix()) <= LEEWAY
            && (1..=LONGEST_ID).contains(&claims.jti.len());
        is_for_it.then_some(claims)
    }
}

/// Whether `htu` names `url`, whatever its query and fragment (RFC 9449 section 4.3, RFC 3986 section 6.2).
fn is_same_url(htu: &str, url: &str) -> bool {
    if htu == url {
        return true;
    }
    let bare = |text: &str| {
        let mut parsed = Url::parse(text).ok()?;
        parsed.set_query(None);
        parsed.set_fragment(None);
        Some(parsed)
    };
    bare(htu).is_some_and(|parsed| bare(url) == Some(parsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_the_same_in_any_of_its_spellings_and_no_other() {
        let url = "https://broker.example.com/v1/session";
        for same in ["HTTPS://Broker.Example.com:443/v1/session", "https://broker.example.com/v1/session?a=b#c"] {
            assert!(is_same_url(same, url), "{same}");
        }
        for other in [
            "http://broker.example.com/v1/session",
            "https://broker.example.com:8443/v1/session",
            "https://broker.example.com/v1/sessions",
            "https://broker.example.com/v1/session/",
            "https://broker.example.com.evil.example/v1/session",
            "https://a@broker.example.com/v1/session",
            "/v1/session",
            "",
        ] {
            assert!(!is_same_url(other, url), "{other}");
        }
    }
}
