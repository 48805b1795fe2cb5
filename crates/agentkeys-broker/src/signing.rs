use std::sync::{Arc, PoisonError, RwLock};

use agentkeys_crypto::{
    Algorithm, JwkSet, KeyError, OidcClaims, OidcIssuer, SessionIssuer, SessionTokenClaims, WalletSessionTokenClaims,
};
use agentkeys_types::{OidcJwt, SessionToken, WalletSessionToken};

use crate::Broker;

/// What signs now, which newer keys may replace at any time.
///
/// Whoever is signing is not disturbed; the private key that was replaced is wiped when the last of them is done.
#[derive(Debug)]
pub(crate) struct Rotating<I>(RwLock<Arc<Signing<I>>>);

/// What signs, and all that verifies.
#[derive(Debug)]
pub(crate) struct Signing<I> {
    pub(crate) issuer: I,
    pub(crate) keys: JwkSet,
}

/// What signs session tokens and web-identity JWTs.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    pub(crate) session: Signing<SessionIssuer>,
    pub(crate) oidc: Signing<OidcIssuer>,
}

impl<I> From<Signing<I>> for Rotating<I> {
    fn from(signing: Signing<I>) -> Self {
        Self(RwLock::new(Arc::new(signing)))
    }
}

impl<I> Rotating<I> {
    fn now(&self) -> Arc<Signing<I>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The public halves of all keys that verify.
    pub(crate) fn keys(&self) -> JwkSet {
        self.now().keys.clone()
    }

    /// Signs with these from now on; returns whether another key signs than before.
    fn replace(&self, signing: Signing<I>) -> bool {
        let current_kid = |signing: &Signing<I>| signing.keys.keys.first().map(|jwk| jwk.kid.clone());
        let newer = current_kid(&signing);
        let before = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), signing.into());
        current_kid(&before) != newer
    }
}

impl Rotating<SessionIssuer> {
    pub(crate) fn issue(&self, claims: &SessionTokenClaims) -> Result<SessionToken, KeyError> {
        self.now().issuer.issue(claims)
    }

    pub(crate) fn issue_wallet(&self, claims: &WalletSessionTokenClaims) -> Result<WalletSessionToken, KeyError> {
        self.now().issuer.issue_wallet(claims)
    }
}

impl Rotating<OidcIssuer> {
    pub(crate) fn sign(&self, claims: &OidcClaims) -> Result<OidcJwt, KeyError> {
        self.now().issuer.sign(claims)
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.now().issuer.algorithm()
    }
}

impl Broker {
    /// Signs with these keys from now on, and accepts what they and those that they came with have signed.
    pub(crate) fn take_keys(&self, keys: SigningKeys) {
        // Nothing is signed that is not accepted yet.
        self.verifier.replace_keys(&keys.session.keys);
        let session = keys.session.keys.clone();
        let oidc = keys.oidc.keys.clone();
        log("session", self.session_issuer.replace(keys.session), &session);
        log("oidc", self.oidc_issuer.replace(keys.oidc), &oidc);
    }
}

fn log(purpose: &'static str, signs_anew: bool, keys: &JwkSet) {
    let Some(current) = keys.keys.first() else { return };
    let published = keys.keys.len();
    if signs_anew {
        tracing::info!(purpose, kid = current.kid, alg = current.alg, published, "a new key signs");
    } else {
        tracing::debug!(purpose, kid = current.kid, published, "the key that signs stays");
    }
}
