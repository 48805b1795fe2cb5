use agentkeys_api::{AgentGrant, AgentView, Agents, paths};
use agentkeys_types::AgentName;

use super::BrokerClient;
use crate::{ClientError, Session};

impl BrokerClient {
    /// Gives an agent its name, or changes what the one of that name may have.
    pub async fn put_agent(
        &self,
        session: &Session,
        name: &AgentName,
        grant: &AgentGrant,
    ) -> Result<AgentView, ClientError> {
        self.0.put(&path(name), session.credential(), grant).await
    }

    /// The account's agents, by name.
    pub async fn agents(&self, session: &Session) -> Result<Agents, ClientError> {
        self.0.show(paths::AGENTS, session.credential()).await
    }

    /// Takes an agent's name away: from the answer on, nothing is minted for it.
    pub async fn delete_agent(&self, session: &Session, name: &AgentName) -> Result<(), ClientError> {
        self.0.delete(&path(name), session.credential()).await
    }
}

fn path(name: &AgentName) -> String {
    paths::AGENT.replace("{name}", name.as_str())
}
