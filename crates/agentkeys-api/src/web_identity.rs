use agentkeys_types::{EvmAddress, OidcJwt, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::{Body, ErrorCode, Field, Fields, Problem, body::Value};

/// Asks for a web-identity JWT.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct MintOidcJwt {
    /// Whom it is for; `sts.amazonaws.com` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub audience: Option<Audience>,
    /// The agent that it is for, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
}

impl Body for MintOidcJwt {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { audience: fields.optional("audience")?, agent: fields.optional("agent")? })
    }
}

/// Whom a JWT is for. Whether that is allowed is the broker's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audience(pub String);

impl Field for Audience {
    const CODE: ErrorCode = ErrorCode::AudienceNotAllowed;
    const EXPECTED: &'static str = "must be one of the allowed audiences";

    fn read(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        (1..=255).contains(&text.len()).then_some(Self(text))
    }
}

/// The name of an agent: `[a-z0-9-]{1,32}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentName(String);

impl Field for AgentName {
    const CODE: ErrorCode = ErrorCode::InvalidField;
    const EXPECTED: &'static str = "must be 1 to 32 of a-z, 0-9 and hyphen";

    fn read(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ((1..=32).contains(&text.len()) && text.bytes().all(allowed)).then_some(Self(text))
    }
}

/// A web-identity JWT. The only reply that carries one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MintedOidcJwt {
    /// The JWT, for the cloud's STS.
    #[serde(serialize_with = "expose")]
    #[schema(value_type = String)]
    pub jwt: OidcJwt,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
    /// The wallet that it speaks for.
    #[schema(value_type = String)]
    pub address: EvmAddress,
}

fn expose<S: Serializer>(jwt: &OidcJwt, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(jwt.expose())
}
