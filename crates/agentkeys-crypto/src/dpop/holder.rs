use std::sync::Arc;

use agentkeys_types::{KeyThumbprint, Timestamp, TokenDigest};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::{
    nonces::{Nonces, Use},
    proof::{ProofKey, Proven, UnverifiedProof},
};
use crate::Confirmation;

/// How many device keys are kept parsed.
const REMEMBERED_KEYS: usize = 16_384;

/// A token as it was presented, with what came along to prove it.
#[derive(Clone, Copy, Debug)]
pub struct Presentation<'r> {
    /// The token as it came in.
    pub unverified_token: &'r str,
    /// Whether it came as one that is bound to a device key: `Authorization: DPoP …`.
    pub is_bound: bool,
    /// The value of the header `DPoP`, if there is one.
    pub unverified_proof: Option<&'r str>,
    /// The request's method.
    pub method: &'r str,
    /// The request's URL as the client knows it, without query.
    pub url: &'r str,
}

/// Why whoever presents a token may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// The proof is malformed, by another key, or for another request or token.
    #[error("the proof by the device key is not valid: see that this machine's clock is right")]
    Invalid,
    /// The token is bound to no device key, and was presented as if it were.
    #[error("the session token is not valid")]
    NotBound,
    /// The proof was used before.
    #[error("the proof by the device key was used before")]
    Replayed,
    /// The token is bound to a device key, and there is no proof by it.
    #[error("the session token is bound to a device key: it needs `Authorization: DPoP` and a proof")]
    Required,
    /// The proof needs a nonce of this server's.
    #[error("the proof by the device key needs the nonce in the header `DPoP-Nonce`")]
    UseNonce,
}

/// Checks that a token is presented by its holder: by its device key where it is bound to one (RFC 9449).
#[derive(Debug)]
pub struct HolderCheck {
    /// By the encoded header of their proofs, which a device never varies.
    keys: Cache<String, Arc<ProofKey>>,
    nonces: Nonces,
}

impl Default for HolderCheck {
    /// Knows no proof yet.
    fn default() -> Self {
        Self { keys: Cache::new(REMEMBERED_KEYS), nonces: Nonces::new() }
    }
}

impl HolderCheck {
    /// The nonce for proofs from now on: the value of the header `DPoP-Nonce`.
    pub fn nonce(&self, now: Timestamp) -> String {
        self.nonces.current(now)
    }

    /// Checks that `presented` comes from the holder of a genuine token that says `cnf`.
    ///
    /// A bound token is never accepted without a proof, and a proof counts once.
    pub fn check(
        &self,
        presented: &Presentation<'_>,
        cnf: Option<&Confirmation>,
        now: Timestamp,
    ) -> Result<(), HolderError> {
        let Some(Confirmation { jkt }) = cnf else {
            return if presented.is_bound { Err(HolderError::NotBound) } else { Ok(()) };
        };
        let unverified_proof =
            presented.unverified_proof.filter(|_| presented.is_bound).ok_or(HolderError::Required)?;
        let token = Some(TokenDigest::of(presented.unverified_token));
        let request = Proven { method: presented.method, url: presented.url, token, now };
        self.prove(unverified_proof, &request, Some(jkt)).map(drop)
    }

    /// The key whose holder sends a request that carries no token.
    pub fn holder(
        &self,
        unverified_proof: &str,
        method: &str,
        url: &str,
        now: Timestamp,
    ) -> Result<KeyThumbprint, HolderError> {
        self.prove(unverified_proof, &Proven { method, url, token: None, now }, None)
    }

    fn prove(
        &self,
        unverified_proof: &str,
        request: &Proven<'_>,
        expected: Option<&KeyThumbprint>,
    ) -> Result<KeyThumbprint, HolderError> {
        let proof = UnverifiedProof::parse(unverified_proof).ok_or(HolderError::Invalid)?;
        let key = self.key(proof.header, expected).ok_or(HolderError::Invalid)?;
        let claims = proof.verify(&key, request).ok_or(HolderError::Invalid)?;
        let nonce = claims.nonce.ok_or(HolderError::UseNonce)?;
        match self.nonces.use_up(&nonce, id(key.thumbprint, &claims.jti), request.now) {
            Use::First => Ok(key.thumbprint),
            Use::Again => Err(HolderError::Replayed),
            Use::OtherNonce => Err(HolderError::UseNonce),
        }
    }

    /// The key that a proof's header names, if it is the expected one; only those are remembered.
    fn key(&self, header: &str, expected: Option<&KeyThumbprint>) -> Option<Arc<ProofKey>> {
        if let Some(key) = self.keys.get(header) {
            return Some(key).filter(|key| expected.is_none_or(|expected| key.thumbprint == *expected));
        }
        let key = Arc::new(ProofKey::of_header(header)?);
        match expected {
            None => Some(key),
            Some(expected) if key.thumbprint == *expected => {
                self.keys.insert(header.to_owned(), Arc::clone(&key));
                Some(key)
            }
            Some(_) => None,
        }
    }
}

/// What is remembered of a proof: half a SHA-256 of its key and id.
fn id(key: KeyThumbprint, jti: &str) -> [u8; 16] {
    let digest = Sha256::new().chain_update(key.as_bytes()).chain_update(jti).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

#[cfg(test)]
mod tests;
