use agentkeys_types::{EmailAddress, ProviderName, RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Body, Fields, IdentityView, Problem, sign_in::as_text};

/// An identity that opens the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkedIdentity {
    /// The identity.
    #[serde(flatten)]
    pub identity: IdentityView,
    /// The address that its provider has for the person, to be shown; it opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Since when it does.
    #[schema(value_type = String)]
    pub linked_at: Timestamp,
}

/// The identities that open the account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Identities {
    /// Oldest first.
    pub identities: Vec<LinkedIdentity>,
}

/// Asks for a code by mail, to link the address to the account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LinkEmail {
    /// The address.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "ada@example.org")]
    pub email: EmailAddress,
}

impl Body for LinkEmail {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { email: fields.required("email")? })
    }
}

/// Asks for a page on which an identity at a provider is proved.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LinkOauth {
    /// As the operator named it.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "google")]
    pub provider: ProviderName,
}

impl Body for LinkOauth {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { provider: fields.required("provider")? })
    }
}

/// The page that a person is to open, once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LinkOauthStarted {
    /// The secret of the session that asked.
    #[schema(value_type = String)]
    pub request_id: RequestId,
    /// Where it is.
    pub authorize_url: String,
    /// For how many seconds it works.
    pub expires_in: u64,
    /// How many seconds to wait between two questions.
    pub interval: u64,
}

/// Links the identity that was proved on the page.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LinkOauthVerify {
    /// As [`LinkOauthStarted::request_id`] said.
    #[schema(value_type = String)]
    pub request_id: RequestId,
}

impl Body for LinkOauthVerify {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { request_id: fields.required("request_id")? })
    }
}

/// Nobody has approved yet: ask again after `interval` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkPending {
    /// Always `pending`.
    pub status: Pending,
    /// How many seconds to wait before the next question.
    pub interval: u64,
}

/// That something waits for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    /// It does.
    #[default]
    Pending,
}
