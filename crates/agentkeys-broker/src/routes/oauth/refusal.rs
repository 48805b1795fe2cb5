use std::{borrow::Cow, sync::Arc, time::Duration};

use agentkeys_api::{ErrorCode, OauthError, OauthProblem};
use agentkeys_http::Refusal;
use agentkeys_store::StoreError;
use agentkeys_types::KeyThumbprint;
use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};

use crate::{Broker, GrantError, RevocationError, routes::callers::DeviceProof};

/// A refusal in the form of RFC 6749 section 5.2.
#[derive(Debug)]
pub(in crate::routes) struct OauthRefusal {
    status: StatusCode,
    problem: OauthProblem,
    retry_after: Option<Duration>,
}

impl OauthRefusal {
    pub(super) fn new(error: OauthError, description: impl Into<Cow<'static, str>>) -> Self {
        let problem = OauthProblem { error, error_description: description.into() };
        Self { status: StatusCode::BAD_REQUEST, problem, retry_after: None }
    }

    fn unavailable(error: &StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        let refusal = Self::new(OauthError::TemporarilyUnavailable, "the store cannot write now: try again");
        Self { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: Some(Duration::from_secs(1)), ..refusal }
    }
}

/// The device key whose holder sends the request; none where it proves nothing.
pub(super) async fn holder(parts: &mut Parts, broker: &Arc<Broker>) -> Result<Option<KeyThumbprint>, OauthRefusal> {
    let DeviceProof(key) = DeviceProof::from_request_parts(parts, broker).await?;
    Ok(key)
}

/// What the shared manners refuse, in the words of OAuth.
impl From<Refusal> for OauthRefusal {
    fn from(refusal: Refusal) -> Self {
        let problem = refusal.problem();
        let error = match problem.error {
            ErrorCode::DpopInvalid | ErrorCode::DpopReplayed | ErrorCode::DpopRequired => OauthError::InvalidDpopProof,
            ErrorCode::UseDpopNonce => OauthError::UseDpopNonce,
            ErrorCode::Internal => OauthError::ServerError,
            _ => OauthError::InvalidRequest,
        };
        let status = match problem.status {
            // There is no token yet that could be wrong.
            401 => StatusCode::BAD_REQUEST,
            status => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
        };
        Self { status, ..Self::new(error, problem.detail.clone()) }
    }
}

impl From<GrantError> for OauthRefusal {
    fn from(error: GrantError) -> Self {
        let code = match &error {
            GrantError::Expired => OauthError::ExpiredToken,
            GrantError::Invalid => OauthError::InvalidGrant,
            GrantError::KeyRequired => OauthError::InvalidDpopProof,
            GrantError::NotAllowed | GrantError::Refused => OauthError::AccessDenied,
            GrantError::Pending => OauthError::AuthorizationPending,
            GrantError::SlowDown => OauthError::SlowDown,
            GrantError::RateLimited { retry_after } => {
                let refusal = Self::new(OauthError::TemporarilyUnavailable, error.to_string());
                return Self { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(*retry_after), ..refusal };
            }
            GrantError::Signing(error) => {
                tracing::error!(%error, "a token could not be signed");
                let detail = "the server failed; its log has the details under the request id";
                let refusal = Self::new(OauthError::ServerError, detail);
                return Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..refusal };
            }
            GrantError::Store(error) => return Self::unavailable(error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<RevocationError> for OauthRefusal {
    fn from(error: RevocationError) -> Self {
        match error {
            RevocationError::Store(error) => Self::unavailable(&error),
            RevocationError::Unsupported => Self::new(OauthError::UnsupportedTokenType, error.to_string()),
        }
    }
}

impl IntoResponse for OauthRefusal {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/json; charset=utf-8");
        let mut response = (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}
