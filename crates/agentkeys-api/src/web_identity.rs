use std::{fmt, str::FromStr};

use agentkeys_types::{AgentName, EvmAddress, Invalid, OidcJwt, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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

/// Whom a JWT is for: 1 to 255 visible ASCII characters. Whether that is allowed is the broker's decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Audience(String);

impl Audience {
    /// AWS's own STS.
    pub fn aws_sts() -> Self {
        Self("sts.amazonaws.com".to_owned())
    }

    /// The audience as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Audience {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !(1..=255).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid("an audience is 1 to 255 visible ASCII characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Field for Audience {
    const CODE: ErrorCode = ErrorCode::AudienceNotAllowed;
    const EXPECTED: &'static str = "must be one of the allowed audiences";

    fn read(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        text.parse().ok()
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
