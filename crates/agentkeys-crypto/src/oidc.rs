use agentkeys_types::{EvmAddress, OidcJwt, OmniAccount, SessionId};
use serde::Serialize;

use crate::{Algorithm, JwkSet, KeyError, SigningKey, jws::Header};

/// What the web-identity JWT says to a cloud.
#[derive(Clone, Debug, Serialize)]
pub struct OidcClaims {
    /// The issuer under which the cloud finds the keys.
    pub iss: String,
    /// `wallet:0x<40 lowercase hex>`
    pub sub: String,
    /// Whom the token is for.
    pub aud: String,
    /// When it was issued, in Unix seconds.
    pub iat: i64,
    /// From when it counts, in Unix seconds.
    pub nbf: i64,
    /// When it ends, in Unix seconds.
    pub exp: i64,
    /// Names the token, for the audit record.
    pub jti: String,
    /// AWS session tags.
    #[serde(rename = "https://aws.amazon.com/tags")]
    pub tags: SessionTags,
}

/// The session tags of an AWS web identity, in the nested form that AWS documents.
#[derive(Clone, Debug, Serialize)]
pub struct SessionTags {
    principal_tags: PrincipalTags,
    transitive_tag_keys: [&'static str; 3],
}

#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "tags need a name of their own in a cloud account that others tag too")]
struct PrincipalTags {
    agentkeys_user_wallet: [String; 1],
    agentkeys_account: [OmniAccount; 1],
    agentkeys_session: [SessionId; 1],
}

impl SessionTags {
    /// Tags that name the wallet, the account and the 30-day session behind a token.
    pub fn new(wallet: EvmAddress, account: OmniAccount, session: SessionId) -> Self {
        Self {
            principal_tags: PrincipalTags {
                agentkeys_user_wallet: [wallet.to_lowercase()],
                agentkeys_account: [account],
                agentkeys_session: [session],
            },
            transitive_tag_keys: ["agentkeys_user_wallet", "agentkeys_account", "agentkeys_session"],
        }
    }
}

/// Signs web-identity JWTs with a key that signs nothing else.
#[derive(Debug)]
pub struct OidcIssuer {
    key: SigningKey,
    header: Header,
}

impl OidcIssuer {
    /// Signs with `key`.
    ///
    /// # Errors
    ///
    /// When the key was made for another purpose.
    pub fn new(key: impl Into<SigningKey>) -> Result<Self, KeyError> {
        let key = key.into();
        if key.purpose() != crate::Purpose::Oidc {
            return Err(KeyError::Signing);
        }
        Ok(Self { header: Header::with_algorithm(key.algorithm(), &key.public().kid, "JWT"), key })
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The keys that a cloud verifies with.
    pub fn keys(&self) -> JwkSet {
        JwkSet { keys: vec![self.key.public().clone()] }
    }

    /// Signs a web-identity JWT.
    pub fn sign(&self, claims: &OidcClaims) -> Result<OidcJwt, KeyError> {
        self.header.sign("", claims, &self.key).map(OidcJwt::new)
    }
}
