use std::net::IpAddr;

use agentkeys_types::{Identity, IdentityType, KeyThumbprint, OmniAccount, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Body, Fields, Problem};

/// An identity as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IdentityView {
    /// `email`, `evm` or `oauth2_<provider>`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub identity_type: IdentityType,
    /// The address, wallet or subject.
    pub value: String,
}

impl From<&Identity> for IdentityView {
    fn from(identity: &Identity) -> Self {
        Self { identity_type: identity.identity_type().clone(), value: identity.value().to_owned() }
    }
}

/// Which kind of token opened a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// The 30-day kind.
    Session,
    /// The kind that proving a wallet gives.
    WalletSession,
}

/// A session as its account sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Names the session.
    #[schema(value_type = String)]
    pub session_id: SessionId,
    /// Which kind it is.
    pub kind: SessionKind,
    /// Whom the token is for: the account, or a wallet's own anchor.
    #[schema(value_type = String)]
    pub omni_account: OmniAccount,
    /// The account it acts for.
    #[schema(value_type = String)]
    pub account: OmniAccount,
    /// The identity that opened it.
    pub identity: IdentityView,
    /// Which machine asked for it.
    pub client_name: Option<String>,
    /// When it was opened.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// When the person proved the identity.
    #[schema(value_type = String)]
    pub auth_time: Timestamp,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
    /// Whether it is bound to a device key.
    pub bound: bool,
    /// The device key that it is bound to (RFC 7638).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub key_thumbprint: Option<KeyThumbprint>,
    /// The address that it was opened from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// When it was used last, to some minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub last_used_at: Option<Timestamp>,
}

/// The 30-day sessions of an account that still stand.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// Newest first.
    pub sessions: Vec<SessionView>,
}

/// Asks whether a session still stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StandingRequest {
    /// Names the session; it opens nothing.
    #[schema(value_type = String)]
    pub session_id: SessionId,
}

impl Body for StandingRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { session_id: fields.required("session_id")? })
    }
}

/// Whether a session still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// Whether it does.
    pub standing: bool,
    /// For how many seconds the answer may be kept.
    pub valid_for: u64,
    /// When its token was renewed last: one that was issued before no longer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub renewed_at: Option<Timestamp>,
}
