use std::time::Duration;

use agentkeys_api::{ErrorCode, Problem};
use agentkeys_crypto::SignatureError;
use agentkeys_http::{Refusal, holder_code};
use agentkeys_store::StoreError;
use axum::response::{IntoResponse, Response};

use crate::{AgentError, AuthError, LinkError, MintError, RenewalError, SessionError, SignInError, WalletError};

/// Any operation's error on its way out: the only code of the broker that knows status codes.
///
/// What went wrong inside is logged here, once, and sent to nobody.
#[derive(Debug)]
pub(crate) enum ApiError {
    Agent(AgentError),
    Auth(AuthError),
    Link(LinkError),
    Mint(MintError),
    Problem(Problem),
    Renewal(RenewalError),
    Session(SessionError),
    SignIn(SignInError),
    Store(StoreError),
    Wallet(WalletError),
}

macro_rules! from {
    ($($error:ty => $variant:ident,)*) => {
        $(impl From<$error> for ApiError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from! {
    AgentError => Agent,
    AuthError => Auth,
    LinkError => Link,
    MintError => Mint,
    Problem => Problem,
    RenewalError => Renewal,
    SessionError => Session,
    SignInError => SignIn,
    StoreError => Store,
    WalletError => Wallet,
}

impl ApiError {
    fn problem(self) -> (Problem, Option<Duration>) {
        let retry_after = self.retry_after();
        let problem = match self {
            Self::Agent(AgentError::Store(error))
            | Self::Auth(AuthError::Store(error))
            | Self::Link(LinkError::Store(error))
            | Self::Renewal(RenewalError::Auth(AuthError::Store(error)) | RenewalError::Store(error))
            | Self::Session(SessionError::Store(error))
            | Self::SignIn(SignInError::Store(error))
            | Self::Store(error)
            | Self::Wallet(WalletError::Store(error)) => unavailable(ErrorCode::StorageUnavailable, &error),
            Self::Mint(MintError::Audit(error)) => unavailable(ErrorCode::AuditUnavailable, &error),
            Self::Mint(MintError::Signing(error))
            | Self::Renewal(RenewalError::Signing(error))
            | Self::SignIn(SignInError::Signing(error))
            | Self::Wallet(WalletError::Signing(error)) => {
                tracing::error!(%error, "a token could not be signed");
                Problem::new(ErrorCode::Internal, "the server failed; its log has the details under the request id")
            }
            Self::Problem(problem) => problem,
            Self::Agent(error) => Problem::new(agent_code(&error), error.to_string()),
            Self::Auth(error) => Problem::new(auth_code(&error), error.to_string()),
            Self::Link(error) => Problem::new(link_code(&error), error.to_string()),
            Self::Mint(error) => Problem::new(mint_code(&error), error.to_string()),
            Self::Renewal(error) => Problem::new(renewal_code(&error), error.to_string()),
            Self::Session(error) => Problem::new(ErrorCode::NotFound, error.to_string()),
            Self::SignIn(error) => Problem::new(sign_in_code(&error), error.to_string()),
            Self::Wallet(error) => Problem::new(wallet_code(&error), error.to_string()),
        };
        (problem, retry_after)
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Link(LinkError::RateLimited { retry_after })
            | Self::Mint(MintError::RateLimited { retry_after })
            | Self::SignIn(SignInError::RateLimited { retry_after }) => Some(*retry_after),
            _ => None,
        }
    }
}

fn unavailable(code: ErrorCode, error: &StoreError) -> Problem {
    tracing::error!(%error, "the store failed");
    Problem::new(code, "the store cannot write now: try again")
}

fn agent_code(error: &AgentError) -> ErrorCode {
    match error {
        AgentError::AudienceNotAllowed => ErrorCode::AudienceNotAllowed,
        AgentError::Expired => ErrorCode::InvalidField,
        AgentError::NotFound => ErrorCode::NotFound,
        AgentError::Store(_) => ErrorCode::StorageUnavailable,
        AgentError::TooMany => ErrorCode::TooManyAgents,
    }
}

fn auth_code(error: &AuthError) -> ErrorCode {
    match error {
        AuthError::Expired => ErrorCode::TokenExpired,
        AuthError::Holder(error) => holder_code(*error),
        AuthError::Invalid => ErrorCode::TokenInvalid,
        AuthError::Revoked => ErrorCode::TokenRevoked,
        AuthError::Store(_) => ErrorCode::StorageUnavailable,
    }
}

fn link_code(error: &LinkError) -> ErrorCode {
    match error {
        LinkError::CodeExpired => ErrorCode::CodeExpired,
        LinkError::InvalidCode => ErrorCode::InvalidCode,
        LinkError::Last => ErrorCode::LastIdentity,
        LinkError::LinkExpired => ErrorCode::LinkExpired,
        LinkError::Mail => ErrorCode::MailUnavailable,
        LinkError::NotAllowed => ErrorCode::SignInNotAllowed,
        LinkError::NotFound => ErrorCode::NotFound,
        LinkError::Provider => ErrorCode::InvalidField,
        LinkError::RateLimited { .. } => ErrorCode::RateLimited,
        LinkError::Reauth => ErrorCode::ReauthRequired,
        LinkError::Refused => ErrorCode::AccessDenied,
        LinkError::Store(_) => ErrorCode::StorageUnavailable,
        LinkError::Taken => ErrorCode::IdentityTaken,
    }
}

fn renewal_code(error: &RenewalError) -> ErrorCode {
    match error {
        RenewalError::Auth(error) => auth_code(error),
        RenewalError::NotBound => ErrorCode::DpopRequired,
        RenewalError::SessionRequired => ErrorCode::SessionRequired,
        RenewalError::Signing(_) => ErrorCode::Internal,
        RenewalError::Store(_) => ErrorCode::StorageUnavailable,
    }
}

fn mint_code(error: &MintError) -> ErrorCode {
    match error {
        MintError::AgentNotAllowed => ErrorCode::AgentNotAllowed,
        MintError::AgentUnknown => ErrorCode::AgentUnknown,
        MintError::AudienceNotAllowed => ErrorCode::AudienceNotAllowed,
        MintError::Audit(_) => ErrorCode::AuditUnavailable,
        MintError::RateLimited { .. } => ErrorCode::RateLimited,
        MintError::Signing(_) => ErrorCode::Internal,
    }
}

fn sign_in_code(error: &SignInError) -> ErrorCode {
    match error {
        SignInError::CodeExpired => ErrorCode::CodeExpired,
        SignInError::InvalidCode => ErrorCode::InvalidCode,
        SignInError::KeyRequired => ErrorCode::DpopRequired,
        SignInError::Mail => ErrorCode::MailUnavailable,
        SignInError::NotAllowed => ErrorCode::SignInNotAllowed,
        SignInError::OtherKey => ErrorCode::DpopInvalid,
        SignInError::RateLimited { .. } => ErrorCode::RateLimited,
        SignInError::Retired => ErrorCode::IdentityRetired,
        SignInError::Signing(_) => ErrorCode::Internal,
        SignInError::Store(_) => ErrorCode::StorageUnavailable,
    }
}

fn wallet_code(error: &WalletError) -> ErrorCode {
    match error {
        WalletError::Chain => ErrorCode::InvalidChainId,
        WalletError::ChallengeExpired => ErrorCode::ChallengeExpired,
        WalletError::ChallengeInvalid => ErrorCode::ChallengeInvalid,
        WalletError::NotLinked => ErrorCode::WalletNotLinked,
        WalletError::Signature(SignatureError::Contract) => ErrorCode::UnsupportedSignatureType,
        WalletError::Signature(SignatureError::Format) => ErrorCode::InvalidSignatureFormat,
        WalletError::Signature(SignatureError::Invalid) => ErrorCode::InvalidSignature,
        WalletError::Signing(_) => ErrorCode::Internal,
        WalletError::Store(_) => ErrorCode::StorageUnavailable,
        WalletError::Taken => ErrorCode::WalletTaken,
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let (problem, retry_after) = error.problem();
        let refusal = Self::from(problem);
        match retry_after {
            Some(wait) => refusal.retry_after(wait),
            None => refusal,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Refusal::from(self).into_response()
    }
}
