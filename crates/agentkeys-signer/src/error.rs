use agentkeys_api::ErrorCode;
use agentkeys_crypto::TokenError;
use agentkeys_http::{Refusal, holder_code};
use axum::response::{IntoResponse, Response};

use crate::{AttestError, CallerError, DeviceError, SignError};

/// The one place that turns errors into answers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Attest(#[from] AttestError),
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl ApiError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Attest(AttestError::CredentialInvalid) => ErrorCode::CredentialInvalid,
            Self::Attest(AttestError::NotAttested) => ErrorCode::NotAttested,
            Self::Caller(CallerError::Broker(_)) => ErrorCode::BrokerUnreachable,
            Self::Caller(CallerError::Holder(error)) => holder_code(*error),
            Self::Attest(AttestError::Busy | AttestError::Unavailable)
            | Self::Caller(CallerError::Keys(_))
            | Self::Sign(SignError::Keys(_)) => ErrorCode::SignerDisabled,
            Self::Caller(CallerError::NoToken(problem)) => problem.error,
            Self::Caller(CallerError::Revoked) => ErrorCode::TokenRevoked,
            Self::Caller(CallerError::SessionRequired) => ErrorCode::SessionRequired,
            Self::Caller(CallerError::Token(TokenError::Expired)) => ErrorCode::TokenExpired,
            Self::Caller(CallerError::Token(TokenError::Invalid)) => ErrorCode::TokenInvalid,
            Self::Sign(SignError::AccountMismatch) => ErrorCode::AccountMismatch,
            Self::Sign(SignError::Device(error)) => device_code(*error),
            Self::Sign(SignError::Log(_)) => ErrorCode::AuditUnavailable,
            Self::Sign(SignError::MessageRefused) => ErrorCode::MessageRefused,
            Self::Sign(SignError::TooOften { .. }) => ErrorCode::RateLimited,
        }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Caller(CallerError::NoToken(problem)) => problem.into(),
            ApiError::Sign(
                SignError::Device(DeviceError::Waiting { left } | DeviceError::TooOften { left })
                | SignError::TooOften { left },
            ) => Self::new(error.code(), error.to_string()).retry_after(left),
            _ => Self::new(error.code(), error.to_string()),
        }
    }
}

fn device_code(error: DeviceError) -> ErrorCode {
    match error {
        DeviceError::KeyRequired => ErrorCode::DeviceKeyRequired,
        DeviceError::Last => ErrorCode::LastDevice,
        DeviceError::LimitReached => ErrorCode::DeviceLimitReached,
        DeviceError::Log(_) => ErrorCode::AuditUnavailable,
        DeviceError::NotPinned => ErrorCode::DeviceNotPinned,
        DeviceError::TooOften { .. } => ErrorCode::RateLimited,
        DeviceError::Unknown => ErrorCode::DeviceUnknown,
        DeviceError::Waiting { .. } => ErrorCode::DeviceWaiting,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Refusal::from(self).into_response()
    }
}
