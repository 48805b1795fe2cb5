use agentkeys_types::{AgentName, EvmAddress, OidcJwt, OmniAccount, SessionId};
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
    /// Who stands behind the token, as AWS session tags and, where it is an agent, as `act`.
    #[serde(flatten)]
    pub tags: SessionTags,
}

/// The session tags of an AWS web identity, in the nested form that AWS documents, and the agent that they name.
#[derive(Clone, Debug, Serialize)]
pub struct SessionTags {
    #[serde(rename = "https://aws.amazon.com/tags")]
    tags: AwsTags,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Actor>,
}

#[derive(Clone, Debug, Serialize)]
struct AwsTags {
    principal_tags: PrincipalTags,
    transitive_tag_keys: Vec<&'static str>,
}

/// Who acts for the subject (RFC 8693 section 4.1).
#[derive(Clone, Debug, Serialize)]
struct Actor {
    sub: String,
}

#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "tags need a name of their own in a cloud account that others tag too")]
struct PrincipalTags {
    agentkeys_user_wallet: [String; 1],
    agentkeys_account: [OmniAccount; 1],
    agentkeys_session: [SessionId; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    agentkeys_agent: Option<[AgentName; 1]>,
}

impl SessionTags {
    /// Tags that name the wallet, the account and the 30-day session behind a token.
    pub fn new(wallet: EvmAddress, account: OmniAccount, session: SessionId) -> Self {
        let principal_tags = PrincipalTags {
            agentkeys_user_wallet: [wallet.to_lowercase()],
            agentkeys_account: [account],
            agentkeys_session: [session],
            agentkeys_agent: None,
        };
        let transitive_tag_keys = vec!["agentkeys_user_wallet", "agentkeys_account", "agentkeys_session"];
        Self { tags: AwsTags { principal_tags, transitive_tag_keys }, act: None }
    }

    /// The same for a token of an agent, which they name too, as does the claim `act`.
    #[must_use]
    pub fn with_agent(mut self, agent: AgentName) -> Self {
        self.act = Some(Actor { sub: format!("agent:{agent}") });
        self.tags.principal_tags.agentkeys_agent = Some([agent]);
        self.tags.transitive_tag_keys.push("agentkeys_agent");
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(tags: SessionTags) -> String {
        serde_json::to_string(&OidcClaims {
            iss: "https://broker.example.com".to_owned(),
            sub: "wallet:0x0707070707070707070707070707070707070707".to_owned(),
            aud: "sts.amazonaws.com".to_owned(),
            iat: 1_800_000_000,
            nbf: 1_800_000_000,
            exp: 1_800_000_300,
            jti: "jti".to_owned(),
            tags,
        })
        .unwrap()
    }

    fn tags() -> SessionTags {
        let account = OmniAccount::from_bytes([7; 32]);
        SessionTags::new(EvmAddress::from_bytes([7; 20]), account, SessionId::from_bytes([7; 16]))
    }

    #[test]
    fn a_token_of_a_person_names_no_agent() {
        assert_eq!(
            claims(tags()),
            format!(
                "{{\"iss\":\"https://broker.example.com\",\"sub\":\"wallet:0x{}\",\"aud\":\"sts.amazonaws.com\",\
                 \"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800000300,\"jti\":\"jti\",\
                 \"https://aws.amazon.com/tags\":{{\"principal_tags\":{{\"agentkeys_user_wallet\":[\"0x{}\"],\
                 \"agentkeys_account\":[\"{}\"],\"agentkeys_session\":[\"{}\"]}},\"transitive_tag_keys\":\
                 [\"agentkeys_user_wallet\",\"agentkeys_account\",\"agentkeys_session\"]}}}}",
                "07".repeat(20),
                "07".repeat(20),
                "07".repeat(32),
                "07".repeat(16)
            )
        );
    }

    #[test]
    fn a_token_of_an_agent_names_it_beside_what_it_names_anyway() {
        let named = claims(tags().with_agent("ci-bot-7".parse().unwrap()));

        let tag = r#"],"agentkeys_agent":["ci-bot-7"]},"#;
        let act = r#""agentkeys_agent"]},"act":{"sub":"agent:ci-bot-7"}}"#;
        assert!(named.contains(tag), "{named}");
        assert!(named.ends_with(act), "{named}");
        let without = named.replace(tag, "]},").replace(&format!(",{act}"), "]}}");
        assert_eq!(without, claims(tags()));
    }
}
