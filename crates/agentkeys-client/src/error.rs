use std::{path::PathBuf, sync::Arc, time::Duration};

use agentkeys_api::{ErrorCode, Problem};

use crate::{ChallengeFault, Exit, StorageError, StsError};

/// Why a client operation failed.
///
/// No variant holds a token, a code or a body, so every one may be shown and logged.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The message to sign is not the one that this wallet's own proof needs, so it was not sent to the signer.
    #[error("the broker asked for a signature that proves something else: {0}")]
    ChallengeRefused(#[from] ChallengeFault),
    /// The key of this device does not sign.
    #[error("the key of this device cannot be used")]
    DeviceKey,
    /// The machine cannot make HTTP requests, for want of usable root certificates for example.
    #[error("this machine cannot make HTTPS requests")]
    Http(#[source] Arc<reqwest::Error>),
    /// The URL of a server is neither `https` nor on this machine.
    #[error("`{url}` must start with https://, because a token goes there and it is not this machine")]
    InsecureUrl {
        /// What was given.
        url: String,
    },
    /// The URL of a server is not one.
    #[error("`{url}` is not a server's URL: {reason}")]
    InvalidUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The person did not give the code.
    #[error("no code was entered")]
    NoCode,
    /// No daemon listens on this machine.
    #[error("no daemon answered at `{}`", socket.display())]
    NoDaemon {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// The session was opened at another broker: its token goes nowhere else.
    #[error("the session belongs to the broker `{expected}`, not to `{url}`")]
    OtherBroker {
        /// The broker that was to be used.
        url: String,
        /// The broker that issued the session.
        expected: String,
    },
    /// A server answered that it will not or cannot do it.
    #[error("{problem}")]
    Problem {
        /// Its answer.
        problem: Problem,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The time of the session is over.
    #[error("the session is over")]
    SessionExpired,
    /// The session could not be kept or read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// STS answered that it will not or cannot do it.
    #[error(transparent)]
    Sts(#[from] StsError),
    /// The signer is on another machine and nothing shows what runs there.
    #[error("the signer `{url}` is not on this machine, and nothing attests what runs there")]
    UnattestedSigner {
        /// The signer.
        url: String,
    },
    /// A server answered with something that is none of its answers.
    #[error("`{url}` gave an answer that was not expected: {reason}")]
    UnexpectedAnswer {
        /// The server.
        url: String,
        /// What is wrong with the answer.
        reason: &'static str,
    },
    /// No server answered.
    #[error("nobody answered at `{url}`")]
    Unreachable {
        /// The server.
        url: String,
        /// What happened instead.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl ClientError {
    /// Whether the same call may succeed a little later, with nothing changed here.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoDaemon { .. } => true,
            Self::Problem { problem, .. } => matches!(problem.status, 429 | 500..),
            Self::Sts(error) => error.retryable(),
            _ => false,
        }
    }

    /// Whether a person must sign in before anything else will work.
    pub fn needs_sign_in(&self) -> bool {
        match self {
            Self::NotSignedIn | Self::OtherBroker { .. } | Self::SessionExpired => true,
            Self::Problem { problem, .. } => matches!(
                problem.error,
                ErrorCode::TokenExpired | ErrorCode::TokenInvalid | ErrorCode::TokenMissing | ErrorCode::TokenRevoked
            ),
            _ => false,
        }
    }

    /// How a command that ends with it tells scripts so.
    pub fn exit(&self) -> Exit {
        match self {
            _ if self.needs_sign_in() => Exit::SignInNeeded,
            Self::InsecureUrl { .. } | Self::InvalidUrl { .. } => Exit::Usage,
            Self::NoCode => Exit::TimedOut,
            Self::NoDaemon { .. } | Self::Unreachable { .. } => Exit::Unreachable,
            Self::ChallengeRefused(_) | Self::UnattestedSigner { .. } => Exit::Denied,
            Self::Problem { problem, .. } => match problem.status {
                401 | 403 | 410 => Exit::Denied,
                404 => Exit::NotFound,
                429 | 502..=504 => Exit::Unreachable,
                _ => Exit::Other,
            },
            Self::Storage(_) => Exit::StoreUnavailable,
            Self::Sts(error) if error.retryable() => Exit::Unreachable,
            Self::Sts(error) if error.status == 403 => Exit::Denied,
            _ => Exit::Other,
        }
    }

    /// The failure in one word, for programs that read `--json`.
    pub fn code(&self) -> &str {
        match self {
            Self::ChallengeRefused(_) => "challenge_refused",
            Self::DeviceKey => "device_key_unusable",
            Self::Http(_) => "http_unavailable",
            Self::InsecureUrl { .. } => "insecure_url",
            Self::InvalidUrl { .. } => "invalid_url",
            Self::NoCode => "no_code",
            Self::NoDaemon { .. } => "no_daemon",
            Self::NotSignedIn => "not_signed_in",
            Self::OtherBroker { .. } => "other_broker",
            Self::Problem { problem, .. } => problem.error.as_str(),
            Self::SessionExpired => "token_expired",
            Self::Storage(error) => error.code(),
            Self::Sts(error) => &error.code,
            Self::UnattestedSigner { .. } => "unattested_signer",
            Self::UnexpectedAnswer { .. } => "unexpected_answer",
            Self::Unreachable { .. } => "unreachable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(error: ErrorCode) -> ClientError {
        ClientError::Problem { problem: Problem::new(error, "…"), retry_after: None }
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        for (error, exit) in [
            (problem(ErrorCode::TokenRevoked), Exit::SignInNeeded),
            (problem(ErrorCode::TokenExpired), Exit::SignInNeeded),
            (problem(ErrorCode::AccountMismatch), Exit::Denied),
            (problem(ErrorCode::InvalidCode), Exit::Denied),
            (problem(ErrorCode::NotFound), Exit::NotFound),
            (problem(ErrorCode::RateLimited), Exit::Unreachable),
            (problem(ErrorCode::AuditUnavailable), Exit::Unreachable),
            (problem(ErrorCode::InvalidField), Exit::Other),
            (ClientError::NotSignedIn, Exit::SignInNeeded),
            (ClientError::InsecureUrl { url: String::new() }, Exit::Usage),
            (ClientError::Storage(StorageError::Locked), Exit::StoreUnavailable),
        ] {
            assert_eq!(error.exit(), exit, "{error}");
        }
    }

    #[test]
    fn only_what_time_may_mend_is_retryable() {
        assert!(problem(ErrorCode::RateLimited).retryable());
        assert!(problem(ErrorCode::StorageUnavailable).retryable());
        assert!(!problem(ErrorCode::TokenRevoked).retryable());
        assert!(!ClientError::NotSignedIn.retryable());
    }
}
