use std::{io, path::PathBuf};

use agentkeys_client::{ClientError, ConfigError, Exit, StorageError};
use agentkeys_daemon::RunError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Daemon(RunError),
    #[cfg(feature = "dev")]
    #[error(transparent)]
    Dev(#[from] crate::dev::DevError),
    #[error("the session ends in {0}")]
    EndsSoon(String),
    #[error("{context}: {source}")]
    File {
        context: String,
        #[source]
        source: io::Error,
    },
    #[error("it was interrupted")]
    Interrupted,
    #[error("{0}")]
    NoIdentity(String),
    #[error("a person must sign in on a page in a browser, and `--no-input` forbids to ask for one")]
    NoPerson,
    #[error(transparent)]
    Mcp(#[from] agentkeys_mcp::ServeError),
    #[error("no role is set")]
    NoRole { config: PathBuf },
    #[error("the session is revoked, and the {0} does not act on it yet")]
    NotReached(&'static str),
    #[error("the code must be typed in, and `--no-input` forbids to ask for it")]
    NoTerminal,
    #[cfg(feature = "dev")]
    #[error("{0}")]
    Server(String),
    #[error("the session belongs to {0}")]
    SignedInAsOther(String),
    #[error("the system refused")]
    System(#[from] io::Error),
    #[error("{0}")]
    Usage(String),
}

impl CliError {
    /// The code to exit with.
    pub(crate) fn exit(&self) -> u8 {
        let exit = match self {
            Self::Client(error) => error.exit(),
            Self::Daemon(error) => error.exit(),
            // A program that could not be run has a code of its own.
            #[cfg(feature = "dev")]
            Self::Dev(error) => return error.exit(),
            Self::EndsSoon(_) => Exit::SignInNeeded,
            Self::Interrupted => Exit::Interrupted,
            Self::NoIdentity(_) => Exit::NotFound,
            Self::NotReached(_) => Exit::Unreachable,
            Self::Config(_) | Self::NoPerson | Self::NoRole { .. } | Self::NoTerminal | Self::Usage(_) => Exit::Usage,
            Self::File { .. } | Self::Mcp(_) | Self::SignedInAsOther(_) | Self::System(_) => Exit::Other,
            #[cfg(feature = "dev")]
            Self::Server(_) => Exit::Other,
        };
        exit.code()
    }

    /// The failure in one word, for programs that read `--json`.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Client(error) | Self::Daemon(RunError::Client(error)) => error.code(),
            Self::Config(_) | Self::Daemon(RunError::Config(_)) => "invalid_settings",
            Self::Daemon(RunError::NoRole) | Self::NoRole { .. } => "no_role",
            Self::Daemon(RunError::Socket(_)) => "socket_unavailable",
            #[cfg(feature = "dev")]
            Self::Dev(error) => error.code(),
            Self::EndsSoon(_) => "session_ends_soon",
            Self::File { .. } => "file_unavailable",
            Self::Interrupted => "interrupted",
            Self::Mcp(_) => "mcp_failed",
            Self::NoIdentity(_) => "not_found",
            Self::NoPerson | Self::NoTerminal => "input_needed",
            Self::NotReached(_) => "not_reached",
            #[cfg(feature = "dev")]
            Self::Server(_) => "server_failed",
            Self::SignedInAsOther(_) => "signed_in_as_other",
            Self::Usage(_) => "usage",
            Self::Daemon(_) | Self::System(_) => "system",
        }
    }

    pub(crate) fn retryable(&self) -> bool {
        matches!(self, Self::Client(error) | Self::Daemon(RunError::Client(error)) if error.retryable())
    }
}

impl From<StorageError> for CliError {
    fn from(error: StorageError) -> Self {
        Self::Client(error.into())
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Client(error) => Self::Client(error),
            RunError::Config(error) => Self::Config(error),
            error => Self::Daemon(error),
        }
    }
}
