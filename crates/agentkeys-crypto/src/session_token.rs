use std::sync::{Arc, RwLock};

use agentkeys_types::{
    EvmAddress, IdentityType, KeyThumbprint, OmniAccount, SessionId, SessionToken, Timestamp, TokenDigest,
    WalletSessionToken,
};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::{
    Es256Key, JwkSet, KeyError,
    jws::{Header, VerifyingKey},
};

/// The `aud` of every session token.
pub const AUDIENCE: &str = "agentkeys";

/// Stands before the compact JWS, so that secret scanners know a leaked token.
const PREFIX: &str = "aks_";
const SESSION_TYPE: &str = "agentkeys-session+jws";
const WALLET_SESSION_TYPE: &str = "agentkeys-wallet-session+jws";

/// Longer than any token of ours, short enough to refuse cheaply.
const LONGEST_TOKEN: usize = 4096;
/// How far another machine's clock may be ahead.
const LEEWAY_SECONDS: i64 = 60;
/// How many recognised tokens are remembered by their digest.
const REMEMBERED_TOKENS: usize = 16_384;

/// What a 30-day session token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionTokenClaims {
    /// The broker's URL.
    pub iss: String,
    /// Always [`AUDIENCE`].
    pub aud: String,
    /// The account.
    pub sub: OmniAccount,
    /// Names the session.
    pub sid: SessionId,
    /// When it was issued, in Unix seconds.
    pub iat: i64,
    /// When it ends, in Unix seconds.
    pub exp: i64,
    /// When the person proved an identity, in Unix seconds.
    pub auth_time: i64,
    /// What kind of identity that was.
    pub idt: IdentityType,
    /// The device key that the session is bound to (RFC 9449), if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// What a wallet session token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletSessionTokenClaims {
    /// The broker's URL.
    pub iss: String,
    /// Always [`AUDIENCE`].
    pub aud: String,
    /// The anchor of the wallet itself: the account of (`evm`, address).
    pub sub: OmniAccount,
    /// Names the wallet session.
    pub sid: SessionId,
    /// When it was issued, in Unix seconds.
    pub iat: i64,
    /// When it ends, in Unix seconds.
    pub exp: i64,
    /// When the person proved an identity for the parent session, in Unix seconds.
    pub auth_time: i64,
    /// Always `evm`.
    pub idt: IdentityType,
    /// The account that the wallet is linked to.
    pub acc: OmniAccount,
    /// The 30-day session it came from, and falls with.
    pub psid: SessionId,
    /// The wallet that was proved.
    pub wal: EvmAddress,
    /// Inherited from the parent session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// RFC 7800's confirmation claim, with RFC 9449's key thumbprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Names the device key.
    pub jkt: KeyThumbprint,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is genuine, and over.
    #[error("the session token has expired")]
    Expired,
    /// It is not a token of this broker.
    #[error("the session token is not valid")]
    Invalid,
}

/// A genuine, unexpired token. Whether its session still stands is another question.
#[derive(Clone, Debug)]
pub enum VerifiedToken {
    /// The 30-day kind.
    Session(Arc<SessionTokenClaims>),
    /// The kind that proving a wallet gives.
    Wallet(Arc<WalletSessionTokenClaims>),
}

impl VerifiedToken {
    /// The device key that the token is bound to, if any.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        match self {
            Self::Session(claims) => claims.cnf.as_ref(),
            Self::Wallet(claims) => claims.cnf.as_ref(),
        }
    }

    fn expires_at(&self) -> i64 {
        match self {
            Self::Session(claims) => claims.exp,
            Self::Wallet(claims) => claims.exp,
        }
    }

    fn is_for(&self, issuer: &str, now: Timestamp) -> bool {
        let (iss, aud, iat) = match self {
            Self::Session(claims) => (&claims.iss, &claims.aud, claims.iat),
            Self::Wallet(claims) => (&claims.iss, &claims.aud, claims.iat),
        };
        iss == issuer && aud == AUDIENCE && iat <= now.as_unix().saturating_add(LEEWAY_SECONDS)
    }
}

/// Signs session tokens with a key that signs nothing else.
#[derive(Debug)]
pub struct SessionIssuer {
    key: Es256Key,
    session: Header,
    wallet: Header,
}

impl SessionIssuer {
    /// Signs with `key`.
    ///
    /// # Errors
    ///
    /// When the key was made for another purpose.
    pub fn new(key: Es256Key) -> Result<Self, KeyError> {
        if key.purpose() != crate::Purpose::Session {
            return Err(KeyError::Signing);
        }
        let kid = key.public().kid.clone();
        Ok(Self { session: Header::new(&kid, SESSION_TYPE), wallet: Header::new(&kid, WALLET_SESSION_TYPE), key })
    }

    /// The keys that verify what this issuer signs.
    pub fn keys(&self) -> JwkSet {
        JwkSet { keys: vec![self.key.public().clone()] }
    }

    /// Signs a 30-day session token.
    pub fn issue(&self, claims: &SessionTokenClaims) -> Result<SessionToken, KeyError> {
        self.session.sign(PREFIX, claims, &self.key).map(SessionToken::new)
    }

    /// Signs a wallet session token.
    pub fn issue_wallet(&self, claims: &WalletSessionTokenClaims) -> Result<WalletSessionToken, KeyError> {
        self.wallet.sign(PREFIX, claims, &self.key).map(WalletSessionToken::new)
    }
}

/// Checks session tokens, and recognises those it has seen by the digest of their exact bytes.
#[derive(Debug)]
pub struct TokenVerifier {
    issuer: String,
    keys: RwLock<Arc<Keys>>,
    seen: Cache<TokenDigest, VerifiedToken>,
}

#[derive(Debug, Default)]
struct Keys {
    session: Vec<VerifyingKey>,
    wallet: Vec<VerifyingKey>,
}

impl TokenVerifier {
    /// Accepts tokens of `issuer` that one of `keys` signed.
    pub fn new(issuer: String, keys: &JwkSet) -> Self {
        let verifier = Self { issuer, keys: RwLock::default(), seen: Cache::new(REMEMBERED_TOKENS) };
        verifier.replace_keys(keys);
        verifier
    }

    /// Accepts what these keys signed from now on, and forgets every token recognised before.
    pub fn replace_keys(&self, keys: &JwkSet) {
        let of_type = |typ| keys.keys.iter().filter_map(|jwk| VerifyingKey::new(jwk, typ)).collect();
        let parsed = Keys { session: of_type(SESSION_TYPE), wallet: of_type(WALLET_SESSION_TYPE) };
        *self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(parsed);
        self.seen.clear();
    }

    /// Whether any key is loaded: without one, nothing can be verified.
    pub fn has_keys(&self) -> bool {
        !self.current_keys().session.is_empty()
    }

    /// Checks header, signature, claims and times of a token as it came in.
    ///
    /// # Errors
    ///
    /// [`TokenError::Expired`] only for a token that is genuine in every other way.
    pub fn verify(&self, unverified_token: &str, now: Timestamp) -> Result<VerifiedToken, TokenError> {
        if unverified_token.len() > LONGEST_TOKEN {
            return Err(TokenError::Invalid);
        }
        let digest = TokenDigest::of(unverified_token);
        if let Some(token) = self.seen.get(&digest) {
            return unexpired(token, now);
        }
        let keys = self.current_keys();
        let token = self.check(unverified_token, &keys, now)?;
        let token = unexpired(token, now)?;
        // Keys that were replaced in between must not leave a token behind.
        let current = self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if Arc::ptr_eq(&keys, &current) {
            self.seen.insert(digest, token.clone());
        }
        Ok(token)
    }

    /// Remembers a token that this process has just issued, so that its first use is as cheap as the next.
    pub fn remember(&self, digest: TokenDigest, token: VerifiedToken) {
        self.seen.insert(digest, token);
    }

    fn current_keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn check(&self, unverified_token: &str, keys: &Keys, now: Timestamp) -> Result<VerifiedToken, TokenError> {
        let compact = unverified_token.strip_prefix(PREFIX).ok_or(TokenError::Invalid)?;
        let signed_by = |keys: &[VerifyingKey]| keys.iter().find_map(|key| key.payload(compact));
        let token = if let Some(payload) = signed_by(&keys.session) {
            serde_json::from_slice(&payload).map(|claims| VerifiedToken::Session(Arc::new(claims)))
        } else {
            let payload = signed_by(&keys.wallet).ok_or(TokenError::Invalid)?;
            serde_json::from_slice(&payload).map(|claims| VerifiedToken::Wallet(Arc::new(claims)))
        };
        token.ok().filter(|token| token.is_for(&self.issuer, now)).ok_or(TokenError::Invalid)
    }
}

fn unexpired(token: VerifiedToken, now: Timestamp) -> Result<VerifiedToken, TokenError> {
    if now.as_unix() < token.expires_at() { Ok(token) } else { Err(TokenError::Expired) }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;
    use crate::Purpose;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const ISSUER: &str = "http://127.0.0.1:8470";

    fn claims() -> SessionTokenClaims {
        SessionTokenClaims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: OmniAccount::from_bytes([7; 32]),
            sid: SessionId::from_bytes([8; 16]),
            iat: NOW.as_unix(),
            exp: NOW.as_unix() + 60,
            auth_time: NOW.as_unix(),
            idt: IdentityType::Email,
            cnf: None,
        }
    }

    fn issuer() -> (SessionIssuer, TokenVerifier) {
        let issuer = SessionIssuer::new(Es256Key::generate(Purpose::Session).unwrap()).unwrap();
        let verifier = TokenVerifier::new(ISSUER.to_owned(), &issuer.keys());
        (issuer, verifier)
    }

    /// A token with this header and payload, truly signed by the issuer's key.
    fn signed(issuer: &SessionIssuer, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = issuer.key.sign(signed.as_bytes()).unwrap();
        format!("aks_{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(issuer: &SessionIssuer) -> String {
        format!(r#"{{"alg":"ES256","kid":"{}","typ":"agentkeys-session+jws"}}"#, issuer.key.public().kid)
    }

    #[test]
    fn an_issued_token_says_what_was_put_in() {
        let (issuer, verifier) = issuer();
        let token = issuer.issue(&claims()).unwrap();

        for _ in 0..2 {
            let VerifiedToken::Session(read) = verifier.verify(token.expose(), NOW).unwrap() else { panic!() };
            assert_eq!(*read, claims());
        }
    }

    #[test]
    fn a_token_ends_at_its_expiry_also_when_it_was_seen_before() {
        let (issuer, verifier) = issuer();
        let token = issuer.issue(&claims()).unwrap();
        verifier.verify(token.expose(), NOW).unwrap();

        let end = Timestamp::from_unix(claims().exp);
        assert_eq!(verifier.verify(token.expose(), end).unwrap_err(), TokenError::Expired);
        let (_, fresh) = (0, TokenVerifier::new(ISSUER.to_owned(), &issuer.keys()));
        assert_eq!(fresh.verify(token.expose(), end).unwrap_err(), TokenError::Expired);
    }

    #[test]
    fn a_replaced_key_takes_its_tokens_with_it() {
        let (issuer_, verifier) = issuer();
        let token = issuer_.issue(&claims()).unwrap();
        verifier.verify(token.expose(), NOW).unwrap();

        verifier.replace_keys(&issuer().0.keys());

        assert_eq!(verifier.verify(token.expose(), NOW).unwrap_err(), TokenError::Invalid);
    }

    #[test]
    fn claims_of_another_shape_are_refused_although_signed() {
        let (issuer, verifier) = issuer();
        let good = serde_json::to_string(&claims()).unwrap();
        assert!(verifier.verify(&signed(&issuer, &header(&issuer), &good), NOW).is_ok());

        let exp = format!(r#""exp":{}"#, claims().exp);
        for payload in [
            good.replace(&exp, r#""exp":"1800000060""#),
            good.replace(&exp, r#""exp":1800000060.0"#),
            good.replace(&exp, r#""exp":1e308"#),
            good.replace(&format!(",{exp}"), ""),
            good.replace(&exp, &format!("{exp},{exp}")),
            good.replace(r#""aud":"agentkeys""#, r#""aud":["agentkeys","other"]"#),
            good.replace(r#""aud":"agentkeys""#, r#""aud":"other""#),
            good.replace(ISSUER, "http://127.0.0.1:8471"),
            good.replace(r#""iat":1800000000"#, r#""iat":1800000061"#),
            good.replace('}', r#","admin":true}"#),
            format!("{good}{good}"),
            String::new(),
        ] {
            assert_eq!(
                verifier.verify(&signed(&issuer, &header(&issuer), &payload), NOW).unwrap_err(),
                TokenError::Invalid,
                "{payload}"
            );
        }
    }

    #[test]
    fn any_other_header_is_refused_although_signed() {
        let (issuer, verifier) = issuer();
        let good = serde_json::to_string(&claims()).unwrap();
        let right = header(&issuer);
        for header in [
            right.replace("ES256", "none"),
            right.replace("ES256", "HS256"),
            right.replace("agentkeys-session+jws", "JWT"),
            right.replace("agentkeys-session+jws", "agentkeys-wallet-session+jws"),
            right.replace('}', r#","crit":["exp"]}"#),
            right.replace('}', r#","jku":"http://127.0.0.1:1/"}"#),
            right.replace(&issuer.key.public().kid, "../../etc/passwd"),
            "{}".to_owned(),
        ] {
            assert_eq!(
                verifier.verify(&signed(&issuer, &header, &good), NOW).unwrap_err(),
                TokenError::Invalid,
                "{header}"
            );
        }
    }

    #[test]
    fn a_signature_that_is_stripped_foreign_or_written_otherwise_is_refused() {
        let (ours, verifier) = issuer();
        let (stranger, _) = issuer();
        let token = ours.issue(&claims()).unwrap().expose().to_owned();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let stripped = format!("{signed}.");
        let padded = format!("{token}==");
        let last = if signature.ends_with('A') { 'B' } else { 'A' };
        let non_canonical = format!("{}{last}", &token[..token.len() - 1]);
        let foreign = stranger.issue(&claims()).unwrap().expose().to_owned();
        let long = format!("{token}{}", "A".repeat(20 * 1024));

        for text in ["", "aks_", "aks_..", &token[4..], signed, &stripped, &padded, &non_canonical, &foreign, &long] {
            assert_eq!(verifier.verify(text, NOW).unwrap_err(), TokenError::Invalid, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_verifier_panic(text in "(aks_)?[A-Za-z0-9_.\\-]{0,80}|\\PC{0,80}") {
            let (_, verifier) = issuer();
            prop_assert_eq!(verifier.verify(&text, NOW).unwrap_err(), TokenError::Invalid);
        }
    }
}
