use std::{
    fmt::Display,
    io,
    path::{Path, PathBuf},
};

use agentkeys_client::{ClientError, ConfigError, Exit, StorageError};
use agentkeys_daemon::{EndpointError, PrivateFileError, RunError};
use agentkeys_types::{AgentName, RoleName};

use crate::{child::ChildError, edits::EditError};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Daemon(RunError),
    #[error("the daemon that runs does not know yet that agent `{agent}` is revoked: {source}")]
    DaemonUntold {
        agent: AgentName,
        #[source]
        source: ClientError,
    },
    #[cfg(feature = "dev")]
    #[error(transparent)]
    Dev(#[from] crate::dev::DevError),
    #[error("the device key of the sign-in before cannot be read: {source}")]
    DeviceKeyUnread {
        source: StorageError,
        /// Whether the sign-in wants a key, so that another one could take its place.
        is_to_be_bound: bool,
    },
    #[error("`{}` was left as it is: {source}", path.display())]
    Edit {
        path: PathBuf,
        #[source]
        source: EditError,
    },
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("the session ends in {0}")]
    EndsSoon(String),
    #[error("{context}: {source}")]
    File {
        context: String,
        #[source]
        source: io::Error,
    },
    #[error("agent `{agent}` is revoked on this machine only, and may get something elsewhere: {source}")]
    HereOnly {
        agent: AgentName,
        #[source]
        source: ClientError,
    },
    #[error("it was interrupted")]
    Interrupted,
    #[error("there is no agent `{0}`")]
    NoAgent(AgentName),
    #[error("no device of this account has a key that begins with `{0}`")]
    NoDevice(String),
    #[error("{0}")]
    NoIdentity(String),
    #[error("`{}` is not what was written: {place}: {reason}", path.display())]
    LogBroken { path: PathBuf, place: String, reason: String },
    #[error("a person must sign in on a page in a browser, and `--no-input` forbids to ask for one")]
    NoPerson,
    #[error(transparent)]
    Mcp(#[from] agentkeys_mcp::ServeError),
    #[error("no role is set")]
    NoRole { config: PathBuf },
    #[error("the session is revoked, and the {0} does not act on it yet")]
    NotReached(&'static str),
    #[error("no request `{0}` waits for an answer")]
    NoRequest(String),
    #[error("`{0}` is there already, and somebody else wrote it")]
    NotOurs(String),
    #[error("the code must be typed in, and `--no-input` forbids to ask for it")]
    NoTerminal,
    #[error("`{}` cannot be used: {reason}", path.display())]
    OperatorsFile { path: PathBuf, reason: String, next: &'static str },
    #[error("no release key vouches for the attestation policy `{}`, and no share goes out by such a one", .0.display())]
    PolicyUnsigned(PathBuf),
    #[error(transparent)]
    PrivateFile(#[from] PrivateFileError),
    #[cfg(feature = "dev")]
    #[error("{0}")]
    Server(String),
    #[error("the session belongs to {0}")]
    SignedInAsOther(String),
    #[error("the system refused")]
    System(#[from] io::Error),
    #[error("`{}` cannot be used: {reason}", path.display())]
    TextFile { path: PathBuf, reason: String },
    #[error("the settings have no role `{0}`")]
    UnknownRole(RoleName),
    #[error("{0}")]
    Usage(String),
}

impl CliError {
    /// The settings in `config` do not have this role.
    pub(crate) fn no_role(name: &RoleName, config: PathBuf) -> Self {
        if name.is_default() { Self::NoRole { config } } else { Self::UnknownRole(name.clone()) }
    }

    /// What an operator makes or takes cannot be used; `next` says what to do then.
    pub(crate) fn operators_file(path: &Path, reason: impl Display, next: &'static str) -> Self {
        Self::OperatorsFile { path: path.to_owned(), reason: reason.to_string(), next }
    }

    /// A new key could not be written; `where_one_is` says what to do where the file has one already.
    pub(crate) fn key_not_written(path: &Path, error: &io::Error, where_one_is: &'static str) -> Self {
        let next = match error.kind() {
            io::ErrorKind::AlreadyExists => where_one_is,
            _ => "name a file in a folder that you may write to",
        };
        Self::operators_file(path, error, next)
    }

    /// The code to exit with.
    pub(crate) fn exit(&self) -> u8 {
        let exit = match self {
            Self::Child(error) => return error.exit(),
            Self::Client(error) | Self::HereOnly { source: error, .. } => error.exit(),
            Self::Daemon(error) => error.exit(),
            #[cfg(feature = "dev")]
            Self::Dev(error) => error.exit(),
            Self::DeviceKeyUnread { .. } => Exit::StoreUnavailable,
            Self::EndsSoon(_) => Exit::SignInNeeded,
            Self::Interrupted => Exit::Interrupted,
            Self::NoAgent(_) | Self::NoDevice(_) | Self::NoIdentity(_) | Self::NoRequest(_) | Self::UnknownRole(_) => {
                Exit::NotFound
            }
            Self::DaemonUntold { .. } | Self::NotReached(_) => Exit::Unreachable,
            Self::Config(_)
            | Self::NoPerson
            | Self::NoRole { .. }
            | Self::NoTerminal
            | Self::PolicyUnsigned(_)
            | Self::Usage(_) => Exit::Usage,
            Self::Edit { .. }
            | Self::Endpoint(_)
            | Self::File { .. }
            | Self::LogBroken { .. }
            | Self::Mcp(_)
            | Self::NotOurs(_)
            | Self::OperatorsFile { .. }
            | Self::PrivateFile(_)
            | Self::SignedInAsOther(_)
            | Self::System(_)
            | Self::TextFile { .. } => Exit::Other,
            #[cfg(feature = "dev")]
            Self::Server(_) => Exit::Other,
        };
        exit.code()
    }

    /// The failure in one word, for programs that read `--json`.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::File { .. } | Self::OperatorsFile { .. } | Self::TextFile { .. } => "file_unavailable",
            Self::Child(error) => error.code(),
            Self::Client(error) | Self::Daemon(RunError::Client(error)) => error.code(),
            Self::Config(_) | Self::Daemon(RunError::Config(_)) => "invalid_settings",
            Self::Daemon(RunError::NoRole) | Self::NoRole { .. } => "no_role",
            Self::DaemonUntold { .. } => "daemon_untold",
            Self::Daemon(RunError::Socket(_)) => "socket_unavailable",
            #[cfg(feature = "dev")]
            Self::Dev(error) => error.code(),
            Self::DeviceKeyUnread { source, .. } => source.code(),
            Self::Edit { source: EditError::NotOurs(_), .. } | Self::NotOurs(_) => "not_ours",
            Self::Edit { .. } => "file_malformed",
            Self::EndsSoon(_) => "session_ends_soon",
            Self::Endpoint(_) => "endpoint_unavailable",
            Self::HereOnly { .. } => "revoked_here_only",
            Self::Interrupted => "interrupted",
            Self::LogBroken { .. } => "log_broken",
            Self::Mcp(_) => "mcp_failed",
            Self::NoAgent(_) | Self::NoDevice(_) | Self::NoIdentity(_) | Self::NoRequest(_) | Self::UnknownRole(_) => {
                "not_found"
            }
            Self::NoPerson | Self::NoTerminal => "input_needed",
            Self::NotReached(_) => "not_reached",
            Self::PrivateFile(PrivateFileError::InsecureFolder { .. }) => "insecure_storage",
            Self::PrivateFile(_) => "file_unavailable",
            #[cfg(feature = "dev")]
            Self::Server(_) => "server_failed",
            Self::SignedInAsOther(_) => "signed_in_as_other",
            Self::PolicyUnsigned(_) | Self::Usage(_) => "usage",
            Self::Daemon(_) | Self::System(_) => "system",
        }
    }

    pub(crate) fn retryable(&self) -> bool {
        matches!(self, Self::Client(error) | Self::HereOnly { source: error, .. } | Self::Daemon(RunError::Client(error)) if error.retryable())
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
