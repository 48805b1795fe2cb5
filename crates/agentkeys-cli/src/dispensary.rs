use std::sync::Arc;

use agentkeys_api::{Audience, DaemonCredentials, DaemonToken, ErrorCode, MintOidcJwt, MintedOidcJwt, Problem};
use agentkeys_client::{
    Agent, AgentBook, AwsSettings, BrokerClient, ClientError, DaemonClient, Dispenser, Flow, Http, Renewal, Role,
    ServerUrl, Session, SignerClient, SignerTrust, WalletProof,
};
use agentkeys_types::{AgentName, Clock, EvmAddress, Invalid, OmniAccount, RoleName};
use async_trait::async_trait;
use clap::Args;
use tokio::sync::Mutex;

use crate::{context::Context, error::CliError};

/// Which role is meant, and for whom.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RoleArgs {
    /// The role of the settings
    #[arg(long, default_value_t, value_name = "NAME")]
    pub(crate) role: RoleName,

    /// The agent that it is for, which may have no more than a person gave it
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<AgentName>,
}

impl RoleArgs {
    /// Fresh credentials.
    pub(crate) async fn credentials(&self, context: &Context) -> Result<DaemonCredentials, CliError> {
        self.credentials_of(context.dispenser().as_ref(), context).await
    }

    /// The role as the settings have it; as credentials of it say, where only the daemon knows it.
    pub(crate) async fn details(&self, context: &Context) -> Result<Role, CliError> {
        if let Some(role) = context.settings.aws.role(&self.role) {
            return Ok(role);
        }
        if !context.is_dev() {
            return Err(CliError::no_role(&self.role, context.places.config_file()));
        }
        let credentials = self.credentials(context).await?;
        let unexpected = |reason| ClientError::UnexpectedAnswer { url: context.socket().display().to_string(), reason };
        let role_arn = credentials.role_arn.parse().map_err(|Invalid(reason)| unexpected(reason))?;
        let endpoint_url = credentials.endpoint_url.map(|url| url.parse()).transpose()?;
        let region = credentials.region.parse().map_err(|Invalid(reason)| unexpected(reason))?;
        Ok(Role { name: self.role.clone(), region, endpoint_url, ..Role::with_arn(role_arn) })
    }

    /// Fresh credentials from this dispenser of the context's.
    pub(crate) async fn credentials_of(
        &self,
        dispenser: &dyn Dispenser,
        context: &Context,
    ) -> Result<DaemonCredentials, CliError> {
        let answer = dispenser.credentials(&self.role, self.agent.as_ref()).await;
        answer.map_err(|error| match error {
            ClientError::Problem { ref problem, .. }
                if problem.error == ErrorCode::NotFound && context.settings.aws.role(&self.role).is_none() =>
            {
                CliError::no_role(&self.role, context.places.config_file())
            }
            error => error.into(),
        })
    }
}

/// Hands out from the daemon if one answers, and otherwise by walking the steps in this process.
///
/// Nothing is kept on disk on the way.
#[derive(Debug)]
pub(crate) struct Dispensary {
    daemon: DaemonClient,
    /// None where there is no session to walk with.
    here: Option<Walk>,
}

impl Dispensary {
    /// Hands out for the profile of the context.
    pub(crate) fn of(context: &Context) -> Self {
        // `agentkeys dev` keeps its session nowhere.
        let here = (!context.is_dev()).then(|| Walk::of(context));
        Self { daemon: context.daemon(), here }
    }
}

#[async_trait]
impl Dispenser for Dispensary {
    async fn credentials(&self, role: &RoleName, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
        match (self.daemon.credentials(role, agent).await, &self.here) {
            (Err(ClientError::NoDaemon { .. }), Some(here)) => here.credentials(role, agent).await,
            (answer, _) => answer,
        }
    }

    async fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
        match (self.daemon.token(audience, agent).await, &self.here) {
            (Err(ClientError::NoDaemon { .. }), Some(here)) => here.token(audience, agent).await,
            (answer, _) => answer,
        }
    }
}

/// Walks the steps in this process, with the session that is kept.
#[derive(Debug)]
struct Walk {
    http: Http,
    broker_url: ServerUrl,
    signer_url: ServerUrl,
    signer_trust: SignerTrust,
    aws: AwsSettings,
    agents: AgentBook,
    renewal: Arc<Renewal>,
    clock: Arc<dyn Clock>,
    /// As it was read last.
    session: Mutex<Option<Session>>,
}

/// What a walk came to before its last step.
struct Minted {
    flow: Flow,
    proof: WalletProof,
    jwt: MintedOidcJwt,
    wallet: EvmAddress,
    account: OmniAccount,
}

impl Walk {
    fn of(context: &Context) -> Self {
        Self {
            http: context.http.clone(),
            broker_url: context.settings.broker_url.clone(),
            signer_url: context.settings.signer_url.clone(),
            signer_trust: SignerTrust::allowing_unattested(context.settings.allow_unattested_signer),
            aws: context.settings.aws.clone(),
            agents: context.agents(),
            renewal: Arc::clone(&context.renewal),
            clock: Arc::clone(&context.clock),
            session: Mutex::default(),
        }
    }

    async fn mint(&self, audience: Audience, agent: Option<&AgentName>) -> Result<Minted, ClientError> {
        let session = self.session().await?;
        let signer = SignerClient::new(&self.http, self.signer_url.clone(), self.signer_trust)?;
        let flow = Flow::new(&self.http, self.broker_url.clone(), signer);
        let wallet = flow.connect_wallet(&session, &mut ()).await?;
        let proof = flow.prove_wallet(&session, wallet, &mut ()).await?;
        let request = MintOidcJwt { audience: Some(audience), agent: agent.cloned() };
        let jwt = flow.broker.mint_oidc_jwt(&proof, &request).await?;
        Ok(Minted { flow, proof, jwt, wallet, account: session.omni_account })
    }

    /// The session, with a fresh token where it was time for one.
    async fn session(&self) -> Result<Session, ClientError> {
        let mut kept = self.session.lock().await;
        let read = match kept.take().filter(|session| !session.is_over(self.clock.now())) {
            Some(session) => session,
            None => self.load().await?,
        };
        let session = self.renewal.renew_if_due(&self.broker(), read).await?;
        *kept = Some(session.clone());
        Ok(session)
    }

    /// The session, or what has to be mended first: where no broker answers, signing in would not help either.
    async fn load(&self) -> Result<Session, ClientError> {
        let session = match self.renewal.load().await {
            Ok(Some(session)) => session,
            missing => {
                self.broker().health().await?;
                missing?;
                return Err(ClientError::NotSignedIn);
            }
        };
        session.at(&self.broker_url)?;
        if session.is_over(self.clock.now()) {
            return Err(ClientError::SessionExpired);
        }
        Ok(session)
    }

    /// Reads the session anew the next time, where this answer says that a person must sign in.
    async fn learn<T>(&self, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        if answer.as_ref().is_err_and(ClientError::needs_sign_in) {
            *self.session.lock().await = None;
        }
        answer
    }

    fn broker(&self) -> BrokerClient {
        BrokerClient::new(&self.http, self.broker_url.clone())
    }

    /// Refuses what a person did not give to the agent.
    fn check(&self, agent: Option<&AgentName>, may: impl Fn(&Agent) -> bool, what: &str) -> Result<(), ClientError> {
        let Some(name) = agent else { return Ok(()) };
        let book = self.agents.read().map_err(|error| {
            refused(ErrorCode::AgentNotAllowed, format!("what agents may have cannot be read: {error}"))
        })?;
        match book.agents.get(name) {
            None => Err(refused(ErrorCode::AgentNotAllowed, format!("there is no agent `{name}` here"))),
            Some(agent) if agent.is_over(self.clock.now()) => {
                Err(refused(ErrorCode::AgentNotAllowed, format!("the time of the agent `{name}` is over")))
            }
            Some(agent) if may(agent) => Ok(()),
            Some(_) => Err(refused(ErrorCode::AgentNotAllowed, format!("the agent `{name}` may not have {what}"))),
        }
    }
}

#[async_trait]
impl Dispenser for Walk {
    async fn credentials(&self, name: &RoleName, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
        self.check(agent, |agent| agent.roles.contains(name), &format!("the role `{name}`"))?;
        // What a person must do first is told first.
        self.session().await?;
        let unknown = || refused(ErrorCode::NotFound, format!("the settings have no role `{name}`"));
        let role = self.aws.role(name).ok_or_else(unknown)?;
        let Minted { flow, proof, jwt, wallet, account } =
            self.learn(self.mint(Audience::aws_sts(), agent).await).await?;
        let credentials = flow.assume_role(&proof, &jwt.jwt, &role, agent, &mut ()).await?;
        Ok(role.hand_out(credentials, wallet, account, agent.cloned()))
    }

    async fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
        self.check(agent, |agent| agent.audiences.contains(audience), &format!("JWTs for `{audience}`"))?;
        let minted = self.learn(self.mint(audience.clone(), agent).await).await?;
        let MintedOidcJwt { jwt, expires_at, address } = minted.jwt;
        Ok(DaemonToken { jwt, audience: audience.clone(), expires_at, agent: agent.cloned(), wallet: address })
    }
}

fn refused(error: ErrorCode, detail: String) -> ClientError {
    ClientError::Problem { problem: Problem::new(error, detail), retry_after: None }
}
