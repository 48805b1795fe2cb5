use std::{path::PathBuf, sync::Arc, time::Duration};

use agentkeys_api::{ErrorCode, OauthError, OauthProblem, Problem};
use agentkeys_types::ProviderName;

use crate::{ChallengeFault, Exit, StorageError, StsError};

/// Why a client operation failed.
///
/// No variant holds a token, a code or a body, so every one may be shown and logged.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The signer is not one that the attestation policy accepts: nothing was sent to it, or what it gave is not used.
    #[error("the signer `{url}` is not one that the attestation policy accepts: {detail} ({check})")]
    AttestationInvalid {
        /// The signer.
        url: String,
        /// What was looked at, in one word.
        check: String,
        /// What is wrong.
        detail: String,
    },
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
    /// Nothing can listen on this machine for the browser to come back.
    #[error("nothing can listen at 127.0.0.1 for the browser to come back")]
    Loopback(#[source] Arc<std::io::Error>),
    /// The person did not give the code.
    #[error("no code was entered")]
    NoCode,
    /// No daemon listens on this machine.
    #[error("no daemon answered at `{}`", socket.display())]
    NoDaemon {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("this machine gives no random numbers")]
    NoRandomness,
    /// Nobody has approved on the page, for as long as that was possible.
    #[error("nobody approved it in the browser in time")]
    NotApproved,
    /// The worker's evidence shows no key for shares, so none goes there.
    #[error("the worker `{url}` does not wait for the shares of a backup")]
    NotRestoring {
        /// The worker.
        url: String,
    },
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// The authorization server gives nothing.
    #[error("{}", in_words(problem))]
    Oauth {
        /// Its answer.
        problem: OauthProblem,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The session was opened at another broker: its token goes nowhere else.
    #[error("the session belongs to the broker `{expected}`, not to `{url}`")]
    OtherBroker {
        /// The broker that was to be used.
        url: String,
        /// The broker that issued the session.
        expected: String,
    },
    /// The broker has another name than the one by which it was called (RFC 8414 section 3.3).
    #[error("the broker at `{url}` calls itself `{issuer}`")]
    OtherIssuer {
        /// The broker that was asked.
        url: String,
        /// What it says that it is.
        issuer: String,
    },
    /// The signer signs for any device, and so has no list of them.
    #[error("the signer `{url}` pins no devices")]
    PinsNoDevices {
        /// The signer.
        url: String,
    },
    /// The attestation policy, or the key that signs it, cannot be used.
    #[error("the attestation policy cannot be used: `{}`: {reason}", path.display())]
    PolicyUnusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
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
    /// The broker knows no identity provider of that name.
    #[error("the broker has no identity provider `{provider}`, only: {}", known.join(", "))]
    UnknownProvider {
        /// What was asked for.
        provider: ProviderName,
        /// What there is.
        known: Vec<String>,
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
            Self::Oauth { problem, .. } => {
                matches!(problem.error, OauthError::ServerError | OauthError::TemporarilyUnavailable)
            }
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
            Self::InsecureUrl { .. }
            | Self::InvalidUrl { .. }
            | Self::PolicyUnusable { .. }
            | Self::UnknownProvider { .. } => Exit::Usage,
            Self::NoCode | Self::NotApproved => Exit::TimedOut,
            Self::NoDaemon { .. } | Self::Unreachable { .. } => Exit::Unreachable,
            Self::AttestationInvalid { .. }
            | Self::ChallengeRefused(_)
            | Self::NotRestoring { .. }
            | Self::OtherIssuer { .. }
            | Self::UnattestedSigner { .. } => Exit::Denied,
            Self::Oauth { problem, .. } => match problem.error {
                OauthError::ExpiredToken => Exit::TimedOut,
                OauthError::AccessDenied | OauthError::InvalidDpopProof | OauthError::InvalidGrant => Exit::Denied,
                _ if self.retryable() => Exit::Unreachable,
                _ => Exit::Other,
            },
            Self::PinsNoDevices { .. } => Exit::NotFound,
            Self::Problem { problem, .. }
                if matches!(problem.error, ErrorCode::DeviceWaiting | ErrorCode::LinkExpired) =>
            {
                Exit::TimedOut
            }
            Self::Problem { problem, .. } if problem.error == ErrorCode::ReauthRequired => Exit::SignInNeeded,
            Self::Problem { problem, .. } if problem.error == ErrorCode::DeviceLimitReached => Exit::Denied,
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
            Self::AttestationInvalid { .. } => "attestation_invalid",
            Self::ChallengeRefused(_) => "challenge_refused",
            Self::DeviceKey => "device_key_unusable",
            Self::Http(_) => "http_unavailable",
            Self::InsecureUrl { .. } => "insecure_url",
            Self::InvalidUrl { .. } => "invalid_url",
            Self::Loopback(_) => "loopback_unavailable",
            Self::NoCode => "no_code",
            Self::NoDaemon { .. } => "no_daemon",
            Self::NoRandomness => "no_randomness",
            Self::NotApproved => "not_approved",
            Self::NotRestoring { .. } => "not_restoring",
            Self::NotSignedIn => "not_signed_in",
            Self::Oauth { problem, .. } => problem.error.as_str(),
            Self::OtherBroker { .. } => "other_broker",
            Self::OtherIssuer { .. } => "other_issuer",
            Self::PinsNoDevices { .. } => "pins_no_devices",
            Self::PolicyUnusable { .. } => "attestation_policy_unusable",
            Self::Problem { problem, .. } => problem.error.as_str(),
            Self::SessionExpired => "token_expired",
            Self::Storage(error) => error.code(),
            Self::Sts(error) => &error.code,
            Self::UnattestedSigner { .. } => "unattested_signer",
            Self::UnexpectedAnswer { .. } => "unexpected_answer",
            Self::UnknownProvider { .. } => "unknown_provider",
            Self::Unreachable { .. } => "unreachable",
        }
    }
}

/// In the server's own words, where it has some that a terminal can show.
fn in_words(problem: &OauthProblem) -> String {
    let description = &problem.error_description;
    let is_plain = description.chars().all(|character| !character.is_control()) && description.len() <= 500;
    let words = match problem.error {
        _ if is_plain && !description.is_empty() => description,
        OauthError::AccessDenied => "it was refused in the browser",
        OauthError::ExpiredToken => "nobody approved it in the browser in time",
        _ => "the broker does not sign anybody in this way",
    };
    format!("{words} ({})", problem.error.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(error: ErrorCode) -> ClientError {
        ClientError::Problem { problem: Problem::new(error, "…"), retry_after: None }
    }

    fn oauth(error: OauthError) -> ClientError {
        ClientError::Oauth { problem: OauthProblem { error, error_description: "".into() }, retry_after: None }
    }

    #[test]
    fn what_an_authorization_server_says_is_shown_where_a_terminal_can_show_it() {
        for (said, shown) in [
            ("Ada said no.", "Ada said no. (access_denied)"),
            ("", "it was refused in the browser (access_denied)"),
            ("\u{1b}[2J", "it was refused in the browser (access_denied)"),
        ] {
            let problem = OauthProblem { error: OauthError::AccessDenied, error_description: said.into() };

            assert_eq!(ClientError::Oauth { problem, retry_after: None }.to_string(), shown);
        }
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
            (problem(ErrorCode::ReauthRequired), Exit::SignInNeeded),
            (problem(ErrorCode::LinkExpired), Exit::TimedOut),
            (problem(ErrorCode::IdentityTaken), Exit::Other),
            (problem(ErrorCode::DeviceWaiting), Exit::TimedOut),
            (problem(ErrorCode::DeviceNotPinned), Exit::Denied),
            (problem(ErrorCode::DeviceKeyRequired), Exit::Denied),
            (problem(ErrorCode::DeviceLimitReached), Exit::Denied),
            (problem(ErrorCode::MessageRefused), Exit::Denied),
            (problem(ErrorCode::DeviceUnknown), Exit::NotFound),
            (problem(ErrorCode::LastDevice), Exit::Other),
            (ClientError::PinsNoDevices { url: String::new() }, Exit::NotFound),
            (oauth(OauthError::AccessDenied), Exit::Denied),
            (oauth(OauthError::ExpiredToken), Exit::TimedOut),
            (oauth(OauthError::TemporarilyUnavailable), Exit::Unreachable),
            (oauth(OauthError::InvalidClient), Exit::Other),
            (ClientError::NotApproved, Exit::TimedOut),
            (ClientError::NotRestoring { url: String::new() }, Exit::Denied),
            (ClientError::NotSignedIn, Exit::SignInNeeded),
            (ClientError::InsecureUrl { url: String::new() }, Exit::Usage),
            (ClientError::Storage(StorageError::Locked), Exit::StoreUnavailable),
            (ClientError::Storage(StorageError::KeyUnavailable(String::new())), Exit::StoreUnavailable),
            (ClientError::Storage(StorageError::TimedOut), Exit::StoreUnavailable),
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
