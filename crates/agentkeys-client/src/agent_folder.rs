use std::path::{Path, PathBuf};

use agentkeys_types::AgentName;

/// The folder of all that the daemon has for one agent, while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFolder(PathBuf);

impl AgentFolder {
    /// The agent's folder, beside the socket of its daemon.
    pub fn beside(socket: &Path, agent: &AgentName) -> Self {
        Self(socket.with_file_name("agents").join(agent.as_str()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The agent's own socket.
    pub fn socket(&self) -> PathBuf {
        self.0.join("agent.sock")
    }

    /// The file with the token by which the agent's programs ask the daemon's endpoint.
    pub fn authorization_token(&self) -> PathBuf {
        self.0.join("authorization-token")
    }

    /// The file with the agent's web-identity JWT, in a folder that has nothing else: a container can have it alone.
    pub fn token_file(&self) -> PathBuf {
        self.0.join("web-identity/web-identity-token")
    }
}
