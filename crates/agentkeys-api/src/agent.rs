use std::collections::BTreeSet;

use agentkeys_types::{AgentName, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Audience, Body, ErrorCode, Field, Fields, Problem, body::Value};

/// Gives an agent its name, and says what it may have; for one that exists, what it may have from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AgentGrant {
    /// The audiences of its web-identity JWTs; `sts.amazonaws.com` alone by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub audiences: Option<Audiences>,
    /// When it ends; never by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
}

impl Body for AgentGrant {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { audiences: fields.optional("audiences")?, expires_at: fields.optional("expires_at")? })
    }
}

/// 1 to 20 audiences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Audiences(pub BTreeSet<Audience>);

impl Audiences {
    /// How many one agent may have.
    pub const MOST: usize = 20;
}

impl Default for Audiences {
    fn default() -> Self {
        Self(BTreeSet::from([Audience::aws_sts()]))
    }
}

impl Field for Audiences {
    const CODE: ErrorCode = ErrorCode::AudienceNotAllowed;
    const EXPECTED: &'static str = "must be a list of 1 to 20 allowed audiences";

    fn read(value: Value) -> Option<Self> {
        let Value::Texts(texts) = value else { return None };
        let audiences = texts.iter().map(|text| text.parse().ok()).collect::<Option<BTreeSet<_>>>()?;
        (1..=Self::MOST).contains(&audiences.len()).then_some(Self(audiences))
    }
}

/// An agent as its account sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentView {
    /// Its name, which goes into its JWTs.
    #[schema(value_type = String)]
    pub name: AgentName,
    /// The audiences that it may have JWTs for.
    #[schema(value_type = Vec<String>)]
    pub audiences: Audiences,
    /// Since when it exists.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// When it ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
}

/// The agents of an account, by name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Agents {
    /// The agents.
    pub agents: Vec<AgentView>,
}
