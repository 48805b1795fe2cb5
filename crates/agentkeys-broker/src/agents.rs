use std::{collections::BTreeSet, net::IpAddr};

use agentkeys_api::AgentGrant;
use agentkeys_store::{Action, Agent, Granting, StoreError};
use agentkeys_types::AgentName;

use crate::{Broker, SessionCaller};

/// Why an agent was not created, changed or revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The operator does not let JWTs be minted for one of the audiences.
    #[error("audiences must be a list of 1 to 20 allowed audiences")]
    AudienceNotAllowed,
    /// It would have expired before it existed.
    #[error("expires_at must lie in the future")]
    Expired,
    /// The account has no agent of that name.
    #[error("there is no such agent")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The account has as many agents as one may have.
    #[error("the account has as many agents as it may: delete one first")]
    TooMany,
}

impl Broker {
    /// Creates an agent of the caller's account, or changes what it may have from the answer on; says whether it is new.
    pub async fn grant_agent(
        &self,
        caller: &SessionCaller,
        name: AgentName,
        grant: AgentGrant,
        source: IpAddr,
    ) -> Result<(Agent, bool), AgentError> {
        let audiences = grant.audiences.unwrap_or_default().0;
        let audiences: BTreeSet<_> = audiences.iter().map(ToString::to_string).collect();
        if !audiences.is_subset(&self.audiences) {
            return Err(AgentError::AudienceNotAllowed);
        }
        let entry = self.entry(caller, Action::GrantAgent, format!("agent:{name}"), source);
        if grant.expires_at.is_some_and(|expires_at| expires_at <= entry.at) {
            return Err(AgentError::Expired);
        }
        let agent = Agent {
            account: caller.session.account,
            name,
            audiences,
            created_at: entry.at,
            expires_at: grant.expires_at,
        };
        match self.store.grant_agent(agent, self.limits.agents_per_account, entry).await? {
            Granting::Changed(agent) => {
                // It may have less than before.
                self.witness().await?;
                Ok((agent, false))
            }
            Granting::Created(agent) => Ok((agent, true)),
            Granting::TooMany => Err(AgentError::TooMany),
            Granting::Unchanged(agent) => Ok((agent, false)),
        }
    }

    /// The agents of the caller's account, by name.
    pub async fn agents(&self, caller: &SessionCaller) -> Result<Vec<Agent>, StoreError> {
        self.store.agents(caller.session.account).await
    }

    /// Revokes an agent: from the answer on, nothing is minted for it.
    pub async fn revoke_agent(
        &self,
        caller: &SessionCaller,
        name: AgentName,
        source: IpAddr,
    ) -> Result<(), AgentError> {
        let entry = self.entry(caller, Action::RevokeAgent, format!("agent:{name}"), source);
        let revoked = self.store.revoke_agent(caller.session.account, name, entry).await?;
        self.witness().await?;
        if revoked { Ok(()) } else { Err(AgentError::NotFound) }
    }
}
