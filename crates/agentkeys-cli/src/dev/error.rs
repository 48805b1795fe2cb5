use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use agentkeys_client::Exit;

/// Why `agentkeys dev` does not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DevError {
    #[error("{0}")]
    Bucket(String),
    #[error("the folder `{}` cannot be used: {source}", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another `agentkeys dev` is using `{}`", .0.display())]
    InUse(PathBuf),
    #[error("the {part} could not be started: {source}")]
    Part {
        part: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("port {} is taken", .0.port())]
    PortTaken(SocketAddr),
}

impl DevError {
    pub(crate) fn part(part: &'static str) -> impl FnOnce(Box<dyn Error + Send + Sync>) -> Self {
        move |source| Self::Part { part, source }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::PortTaken(_) => Exit::Usage,
            _ => Exit::Other,
        }
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Bucket(_) => "bucket_failed",
            Self::Folder { .. } => "folder_unavailable",
            Self::InUse(_) => "already_running",
            Self::Part { .. } => "part_failed",
            Self::PortTaken(_) => "port_taken",
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::InUse(_) => Some(
                "stop it with Ctrl-C first, or use what it hands out: `agentkeys --profile dev aws export`".to_owned(),
            ),
            Self::PortTaken(_) => Some("name another port, 0 for any that is free, or none for the default".to_owned()),
            _ => None,
        }
    }
}
