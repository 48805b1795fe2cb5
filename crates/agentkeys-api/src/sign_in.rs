use agentkeys_types::{EmailAddress, OmniAccount, RequestId, SessionId, SessionToken, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::{Body, Fields, IdentityView, Problem, Text};

/// Asks for a code by mail.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EmailStart {
    /// The address that will sign in.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "ada@example.com")]
    pub email: EmailAddress,
    /// Which machine asks, for the mail and the list of sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
}

impl Body for EmailStart {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let client_name = fields.optional("client_name")?.map(|Text(name)| name);
        Ok(Self { email: fields.required("email")?, client_name })
    }
}

/// A code is on its way.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EmailStarted {
    /// The secret of the terminal that asked.
    #[schema(value_type = String)]
    pub request_id: RequestId,
    /// For how many seconds the code works.
    pub expires_in: u64,
    /// After how many seconds another may be asked for.
    pub resend_after: u64,
}

/// Answers with the code from the mail.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EmailVerify {
    /// As [`EmailStarted::request_id`] said.
    #[schema(value_type = String)]
    pub request_id: RequestId,
    /// As the person typed it: case, spaces and hyphens do not matter.
    pub code: String,
}

impl Body for EmailVerify {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let Text(code) = fields.required("code")?;
        Ok(Self { request_id: fields.required("request_id")?, code })
    }
}

/// How a session token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum TokenType {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    #[serde(rename = "DPoP")]
    Dpop,
}

impl TokenType {
    /// How a token is presented, by whether it is bound to a device key.
    pub fn of(is_bound: bool) -> Self {
        if is_bound { Self::Dpop } else { Self::Bearer }
    }
}

/// A person is signed in. The only reply that carries a session token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// The session token.
    #[serde(serialize_with = "expose")]
    #[schema(value_type = String)]
    pub session_token: SessionToken,
    /// How it is presented.
    pub token_type: TokenType,
    /// Names the session.
    #[schema(value_type = String)]
    pub session_id: SessionId,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
    /// The account that the identity opens.
    #[schema(value_type = String)]
    pub omni_account: OmniAccount,
    /// The identity that signed in.
    pub identity: IdentityView,
}

pub(crate) fn as_text<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(crate) fn expose<S: Serializer>(token: &SessionToken, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}
