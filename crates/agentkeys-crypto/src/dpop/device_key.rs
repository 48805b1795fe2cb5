use std::fmt;

use agentkeys_types::{KeyThumbprint, Timestamp, TokenDigest};
use aws_lc_rs::{
    agreement::{self, ECDH_P256},
    encoding::{AsBigEndian, EcPrivateKeyBin},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::proof::{Claims, header};
use crate::{Jwk, KeyError, random};

/// The P-256 key of one device, by which it proves that a session token is its own.
///
/// Between two proofs the secret lies in one place only: the library's own form of the key is made for each proof
/// and erased after it.
#[derive(Clone)]
pub struct DeviceKey {
    secret: Zeroizing<Vec<u8>>,
    point: Vec<u8>,
    header: String,
    thumbprint: KeyThumbprint,
}

impl DeviceKey {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyError::Signing)?;
        let secret = AsBigEndian::<EcPrivateKeyBin<'_>>::as_be_bytes(&pair.private_key());
        Self::from_secret(secret.map_err(|_| KeyError::Signing)?.as_ref())
    }

    /// The key whose secret these 32 bytes are.
    ///
    /// # Errors
    ///
    /// When they are no scalar of P-256.
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        let private = agreement::PrivateKey::from_private_key(&ECDH_P256, secret).map_err(|_| KeyError::Signing)?;
        let public = private.compute_public_key().map_err(|_| KeyError::Signing)?;
        let point = public.as_ref().to_vec();
        let jwk = Jwk::es256(&point).ok_or(KeyError::Signing)?;
        let thumbprint = jwk.kid.parse().map_err(|_| KeyError::Signing)?;
        Ok(Self { secret: Zeroizing::new(secret.to_vec()), point, header: header(&jwk), thumbprint })
    }

    /// The 32 bytes of the secret, for the one place that keeps it between runs.
    pub fn expose_secret(&self) -> &[u8] {
        &self.secret
    }

    /// Names the key: what a session is bound to.
    pub fn thumbprint(&self) -> KeyThumbprint {
        self.thumbprint
    }

    /// A proof for one request: the value of its header `DPoP` (RFC 9449 section 4.2).
    ///
    /// `url` is the request's without query and fragment, `token` that of the access token that goes with it, `nonce`
    /// the one that the server gave last.
    pub fn prove(
        &self,
        method: &str,
        url: &str,
        token: Option<TokenDigest>,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<String, KeyError> {
        let claims = Claims {
            jti: URL_SAFE_NO_PAD.encode(random::<16>()),
            htm: method.to_owned(),
            htu: url.to_owned(),
            iat: now.as_unix(),
            ath: token.map(|TokenDigest(digest)| URL_SAFE_NO_PAD.encode(digest)),
            nonce: nonce.map(str::to_owned),
        };
        let payload = serde_json::to_vec(&claims).map_err(|_| KeyError::Signing)?;
        let mut proof = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(payload));
        let signature = self.sign(proof.as_bytes())?;
        proof.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut proof);
        Ok(proof)
    }

    fn sign(&self, message: &[u8]) -> Result<impl AsRef<[u8]> + use<>, KeyError> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &self.secret, &self.point);
        let pair = pair.map_err(|_| KeyError::Signing)?;
        pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Signing)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DeviceKey({})", self.thumbprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_after_it_was_kept() {
        let key = DeviceKey::generate().unwrap();

        let read = DeviceKey::from_secret(key.expose_secret()).unwrap();

        assert_eq!(read.thumbprint(), key.thumbprint());
        assert_eq!(key.expose_secret().len(), 32);
    }

    #[test]
    fn what_is_no_scalar_is_no_key() {
        for secret in [&[0; 32][..], &[0xff; 32], &[1; 31], &[]] {
            assert!(DeviceKey::from_secret(secret).is_err(), "{secret:?}");
        }
    }

    #[test]
    fn a_key_never_prints_its_secret() {
        let key = DeviceKey::from_secret(&[7; 32]).unwrap();

        assert_eq!(format!("{key:?}"), format!("DeviceKey({})", key.thumbprint()));
    }
}
