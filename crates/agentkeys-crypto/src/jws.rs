use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::{Algorithm, Jwk, KeyError, signing_key::Sign};

/// One kind of compact JWS (RFC 7515 section 3.1) under one key: its protected header never varies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    encoded: String,
}

impl Header {
    /// ES256 under the key `kid`, of the media type `typ`.
    pub(crate) fn new(kid: &str, typ: &str) -> Self {
        Self::with_algorithm(Algorithm::Es256, kid, typ)
    }

    /// The same by another algorithm.
    pub(crate) fn with_algorithm(algorithm: Algorithm, kid: &str, typ: &str) -> Self {
        let json = format!(r#"{{"alg":"{algorithm}","kid":"{kid}","typ":"{typ}"}}"#);
        Self { encoded: URL_SAFE_NO_PAD.encode(json) }
    }

    /// The compact form of `claims`, signed; `prefix` stands before it.
    pub(crate) fn sign(&self, prefix: &str, claims: &impl Serialize, key: &impl Sign) -> Result<String, KeyError> {
        let payload = serde_json::to_vec(claims).map_err(|_| KeyError::Signing)?;
        let length = prefix.len()
            + self.encoded.len()
            + payload.len().div_ceil(3) * 4
            + 2
            + key.signature_length().div_ceil(3) * 4;
        let mut token = String::with_capacity(length);
        token.push_str(prefix);
        token.push_str(&self.encoded);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = key.signature(&token.as_bytes()[prefix.len()..])?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// The public key that one [`Header`] names, parsed once.
#[derive(Debug)]
pub(crate) struct VerifyingKey {
    header: Header,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// The key of `jwk` for tokens of the media type `typ`; `None` when it is not a P-256 signing key.
    pub(crate) fn new(jwk: &Jwk, typ: &str) -> Option<Self> {
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, jwk.es256_point()?).ok()?;
        Some(Self { header: Header::new(&jwk.kid, typ), key })
    }

    /// Whether `other` takes the very same tokens.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.header == other.header
    }

    /// The payload of `token`, when its header is exactly ours and its signature is by this key.
    ///
    /// Comparing the header's bytes leaves nothing to parse before the signature is checked: no other
    /// `alg`, `typ` or `kid`, no `jwk`, `jku`, `x5u` or `crit` can be said at all.
    pub(crate) fn payload(&self, token: &str) -> Option<Vec<u8>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if header != self.header.encoded {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.key.verify_sig(signed.as_bytes(), &signature).ok()?;
        URL_SAFE_NO_PAD.decode(payload).ok()
    }
}
