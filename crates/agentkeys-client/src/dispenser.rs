use agentkeys_api::{Audience, DaemonCredentials, DaemonToken};
use agentkeys_types::{AgentName, RoleName};
use async_trait::async_trait;

use crate::ClientError;

/// Hands out fresh credentials and JWTs: the daemon of this machine, or this process itself where none runs.
///
/// An agent's name narrows what is given to what that agent may have.
#[async_trait]
pub trait Dispenser: Send + Sync + std::fmt::Debug {
    /// Credentials of a role of the settings.
    async fn credentials(&self, role: &RoleName, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError>;

    /// A web-identity JWT.
    async fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Result<DaemonToken, ClientError>;
}
