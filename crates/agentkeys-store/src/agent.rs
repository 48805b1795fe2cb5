use std::{collections::BTreeSet, time::Duration};

use agentkeys_types::{AgentName, OmniAccount, Timestamp};
use async_trait::async_trait;

use crate::{Entry, Limit, StoreError};

/// An agent, and what it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Whose it is.
    pub account: OmniAccount,
    /// Its name, which is unique for the account.
    pub name: AgentName,
    /// The audiences of its web-identity JWTs: one or more, none of which has a space in it.
    pub audiences: BTreeSet<String>,
    /// Since when it exists.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// What became of a grant to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granting {
    /// The agent existed, and may have something else from now on.
    Changed(Agent),
    /// The agent is new.
    Created(Agent),
    /// The account has as many agents as it may: nothing was changed.
    TooMany,
    /// The agent existed, and may have what it might before: nothing was changed.
    Unchanged(Agent),
}

/// What became of an entry for an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentRecorded {
    /// It is over a limit, and was not recorded.
    Limited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// The agent may not have this audience, so nothing was recorded.
    NotAllowed,
    /// It is on disk.
    Recorded {
        /// When the agent ends, if it does.
        expires_at: Option<Timestamp>,
    },
    /// The account has no such agent, or it has expired, so nothing was recorded.
    Unknown,
}

/// Remembers the agents of each account.
///
/// What was taken from an agent is gone for every broker on the store once that was answered.
#[async_trait]
pub trait AgentStore: Send + Sync {
    /// Creates the agent at its `created_at`, or changes the audiences and the expiry of the one of that name.
    ///
    /// An account never has more than `most` agents, under races too; expired ones count until they are revoked or
    /// purged. What changes nothing is not recorded.
    async fn grant_agent(&self, agent: Agent, most: u32, entry: Entry) -> Result<Granting, StoreError>;

    /// The account's agents by name, also those that have expired.
    async fn agents(&self, account: OmniAccount) -> Result<Vec<Agent>, StoreError>;

    /// Forgets an agent; `false`, without a record, when there was none.
    async fn revoke_agent(&self, account: OmniAccount, name: AgentName, entry: Entry) -> Result<bool, StoreError>;

    /// Appends an entry for an agent that has not expired at `entry.at` and may have `audience`, and counts it against
    /// `limits`, all or nothing.
    ///
    /// Unless it was recorded, the caller must not go on to do what it meant to record. An agent whose revocation was
    /// answered before has no entry after it.
    async fn append_for_agent(
        &self,
        account: OmniAccount,
        name: AgentName,
        audience: String,
        entry: Entry,
        limits: Vec<Limit>,
    ) -> Result<AgentRecorded, StoreError>;
}
