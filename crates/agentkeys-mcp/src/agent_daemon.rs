use agentkeys_api::{AccessRequest, AccessRequested, Allowed};
use agentkeys_client::{ClientError, Dispenser};
use agentkeys_types::AgentName;
use async_trait::async_trait;

/// What an agent asks of the daemon of this machine.
#[async_trait]
pub trait AgentDaemon: Dispenser {
    /// What the caller, or this agent of theirs, may have.
    async fn allowed(&self, agent: Option<&AgentName>) -> Result<Allowed, ClientError>;

    /// Asks a person for more. Nothing is granted by it.
    async fn request_access(&self, request: &AccessRequest) -> Result<AccessRequested, ClientError>;
}

#[cfg(unix)]
#[async_trait]
impl AgentDaemon for agentkeys_client::DaemonClient {
    async fn allowed(&self, agent: Option<&AgentName>) -> Result<Allowed, ClientError> {
        Self::allowed(self, agent).await
    }

    async fn request_access(&self, request: &AccessRequest) -> Result<AccessRequested, ClientError> {
        Self::request_access(self, request).await
    }
}
