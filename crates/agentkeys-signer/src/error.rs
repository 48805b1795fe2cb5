use agentkeys_api::ErrorCode;
use agentkeys_crypto::TokenError;
use agentkeys_http::{Refusal, holder_code};
use axum::response::{IntoResponse, Response};

use crate::{CallerError, SignError};

/// The one place that turns errors into answers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl ApiError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Caller(CallerError::Broker(_)) => ErrorCode::BrokerUnreachable,
            Self::Caller(CallerError::Holder(error)) => holder_code(*error),
            Self::Caller(CallerError::Keys(_)) | Self::Sign(SignError::Keys(_)) => ErrorCode::SignerDisabled,
            Self::Caller(CallerError::NoToken(problem)) => problem.error,
            Self::Caller(CallerError::Revoked) => ErrorCode::TokenRevoked,
            Self::Caller(CallerError::SessionRequired) => ErrorCode::SessionRequired,
            Self::Caller(CallerError::Token(TokenError::Expired)) => ErrorCode::TokenExpired,
            Self::Caller(CallerError::Token(TokenError::Invalid)) => ErrorCode::TokenInvalid,
            Self::Sign(SignError::AccountMismatch) => ErrorCode::AccountMismatch,
            Self::Sign(SignError::Log(_)) => ErrorCode::AuditUnavailable,
        }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Caller(CallerError::NoToken(problem)) => problem.into(),
            _ => Self::new(error.code(), error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Refusal::from(self).into_response()
    }
}
