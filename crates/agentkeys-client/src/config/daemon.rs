use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use agentkeys_api::Audience;
use agentkeys_types::AgentName;
use serde::Deserialize;

/// The `[daemon]` section: where it listens besides its socket, and whom it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonSettings {
    /// The address of 127.0.0.1 at which AWS SDKs find credentials over HTTP, such as `127.0.0.1:8474`; none by
    /// default.
    #[serde(default)]
    pub listen: Option<SocketAddr>,

    /// The programs that the socket hands anything to, by their paths; all of this user's by default. `agentkeys`
    /// itself lets nobody look at it, so that with a list its commands get nothing from the daemon.
    #[serde(default)]
    pub allow_executables: Option<BTreeSet<PathBuf>>,

    /// Further users, by their numbers, that agents' own sockets answer; only this user's by default.
    #[serde(default)]
    pub allow_uids: BTreeSet<u32>,

    /// Files with a JWT that the daemon keeps fresh, by a name of your choice.
    #[serde(default)]
    pub token_files: BTreeMap<String, TokenFileSettings>,
}

/// A section `[daemon.token_files.NAME]`: a file with a web-identity JWT.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFileSettings {
    /// Where it lies.
    pub path: PathBuf,

    /// Whom the JWT is for; `sts.amazonaws.com` by default.
    #[serde(default = "Audience::aws_sts")]
    pub audience: Audience,

    /// The agent that it names; none by default.
    #[serde(default)]
    pub agent: Option<AgentName>,
}

impl DaemonSettings {
    pub(super) fn check(&self) -> Result<(), String> {
        match self.listen {
            Some(address) if address.ip() != Ipv4Addr::LOCALHOST => {
                Err("[daemon]: `listen` must be an address of 127.0.0.1: AWS SDKs send their token to no other"
                    .to_owned())
            }
            _ if self.token_files.values().map(|file| &file.path).collect::<BTreeSet<_>>().len()
                < self.token_files.len() =>
            {
                Err("[daemon.token_files]: two files have the same `path`".to_owned())
            }
            _ if self.token_files.values().any(|file| !file.path.is_absolute()) => {
                Err("[daemon.token_files]: `path` must be absolute".to_owned())
            }
            _ => Ok(()),
        }
    }
}
