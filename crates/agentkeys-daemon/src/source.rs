use std::{fmt, sync::Arc};

use agentkeys_api::{Audience, DaemonCredentials, DaemonToken};
use agentkeys_client::{ClientError, Role};
use agentkeys_types::{AgentName, EvmAddress, OmniAccount, Timestamp};
use async_trait::async_trait;

/// Gives what is handed out, fresh each time it is asked.
#[async_trait]
pub trait CredentialSource: fmt::Debug + Send + Sync + 'static {
    /// Credentials of `role`, for `agent` if one is named.
    async fn credentials(&self, role: &Role, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError>;

    /// A web-identity JWT for `audience`, which names `agent` if there is one.
    async fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Result<DaemonToken, ClientError>;

    /// Does what is due though nobody asks, and says when something will be due again.
    async fn keep(&self) -> Option<Timestamp> {
        None
    }

    /// The account that it acts for, once it is known.
    fn account(&self) -> Option<OmniAccount> {
        None
    }

    /// The wallet that it acts by, once it is known.
    fn wallet(&self) -> Option<EvmAddress> {
        None
    }

    /// What the person should know of, beyond what was asked for.
    fn notice(&self) -> Option<String> {
        None
    }
}

/// What is handed out: it ends at some time.
pub trait Ending: Clone + fmt::Debug + Send + Sync + 'static {
    /// When it ends.
    fn expires_at(&self) -> Timestamp;
}

impl Ending for DaemonCredentials {
    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl Ending for DaemonToken {
    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// Fetches one thing that [`Cached`](crate::Cached) keeps.
#[async_trait]
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// What it fetches.
    type Item: Ending;

    /// A fresh one.
    async fn fetch(&self) -> Result<Self::Item, ClientError>;
}

/// Fetches the credentials of one role for one agent.
#[derive(Debug)]
pub(crate) struct FetchCredentials {
    pub(crate) source: Arc<dyn CredentialSource>,
    pub(crate) role: Role,
    pub(crate) agent: Option<AgentName>,
}

#[async_trait]
impl Fetch for FetchCredentials {
    type Item = DaemonCredentials;

    async fn fetch(&self) -> Result<DaemonCredentials, ClientError> {
        self.source.credentials(&self.role, self.agent.as_ref()).await
    }
}

/// Fetches the JWT for one audience and one agent.
#[derive(Debug)]
pub(crate) struct FetchToken {
    pub(crate) source: Arc<dyn CredentialSource>,
    pub(crate) audience: Audience,
    pub(crate) agent: Option<AgentName>,
}

#[async_trait]
impl Fetch for FetchToken {
    type Item = DaemonToken;

    async fn fetch(&self) -> Result<DaemonToken, ClientError> {
        self.source.token(&self.audience, self.agent.as_ref()).await
    }
}
