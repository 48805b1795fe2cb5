use std::borrow::Cow;

use agentkeys_types::Timestamp;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::answer::error_answer;

/// Why STS refused, in AWS's own codes and words.
#[derive(Debug, thiserror::Error)]
pub(in crate::aws) enum StsError {
    #[error("Not authorized to perform sts:AssumeRoleWithWebIdentity")]
    AccessDenied,
    #[error("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")]
    DurationOverRoleMaximum,
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    #[error("Token expired: current date/time {now} must be before the expiration date/time {expired_at}")]
    ExpiredWebIdentity { now: Timestamp, expired_at: Timestamp },
    #[error("The identity provider could not be reached")]
    IdpCommunication,
    #[error("The request signature does not conform to AWS standards.")]
    IncompleteSignature,
    #[error("The request processing has failed because of an unknown error.")]
    InternalFailure,
    #[error("Could not find operation for the version of the request: it must be 2011-06-15")]
    InvalidAction,
    #[error("The security token included in the request is invalid.")]
    InvalidClientTokenId,
    #[error("{0}")]
    InvalidIdentityToken(&'static str),
    #[error("The request body is not a form of single UTF-8 parameters.")]
    MalformedInput,
    #[error("The request must contain the parameter Action.")]
    MissingAction,
    #[error("Request is missing Authentication Token")]
    MissingAuthenticationToken,
    #[error("The session tags take more than the space that a session has for them.")]
    PackedPolicyTooLarge,
    #[error("The request is too large.")]
    RequestEntityTooLarge,
    #[error("The request signature we calculated does not match the signature you provided.")]
    SignatureDoesNotMatch,
    /// The value is not repeated: it may be the token.
    #[error("1 validation error detected: Value at '{parameter}' failed to satisfy constraint: {constraint}")]
    Validation { parameter: &'static str, constraint: Cow<'static, str> },
}

impl StsError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::AccessDenied => (StatusCode::FORBIDDEN, "AccessDenied"),
            Self::DurationOverRoleMaximum | Self::Validation { .. } => (StatusCode::BAD_REQUEST, "ValidationError"),
            Self::ExpiredToken => (StatusCode::FORBIDDEN, "ExpiredToken"),
            Self::ExpiredWebIdentity { .. } => (StatusCode::BAD_REQUEST, "ExpiredTokenException"),
            Self::IdpCommunication => (StatusCode::BAD_REQUEST, "IDPCommunicationError"),
            Self::IncompleteSignature => (StatusCode::BAD_REQUEST, "IncompleteSignature"),
            Self::InternalFailure => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
            Self::InvalidAction => (StatusCode::BAD_REQUEST, "InvalidAction"),
            Self::InvalidClientTokenId => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
            Self::InvalidIdentityToken(_) => (StatusCode::BAD_REQUEST, "InvalidIdentityToken"),
            Self::MalformedInput => (StatusCode::BAD_REQUEST, "MalformedInput"),
            Self::MissingAction => (StatusCode::BAD_REQUEST, "MissingAction"),
            Self::MissingAuthenticationToken => (StatusCode::FORBIDDEN, "MissingAuthenticationToken"),
            Self::PackedPolicyTooLarge => (StatusCode::BAD_REQUEST, "PackedPolicyTooLarge"),
            Self::RequestEntityTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            Self::SignatureDoesNotMatch => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
        }
    }
}

impl IntoResponse for StsError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        tracing::info!(code, reason = %self, "STS refused");
        error_answer(status, code, &self.to_string())
    }
}
