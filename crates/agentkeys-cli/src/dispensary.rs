use std::sync::Arc;

use agentkeys_api::{Audience, DaemonCredentials, DaemonToken, ErrorCode, Problem};
use agentkeys_client::{BrokerClient, ClientError, DaemonClient, Dispenser, Http, Renewal, Role, Session, SignerTrust};
use agentkeys_daemon::{DaemonConfig, Desk, HandOutLog, Rules, rules_of};
use agentkeys_types::{AgentName, Clock, Invalid, RoleName};
use async_trait::async_trait;
use clap::Args;
use tokio::{sync::Mutex, task::JoinSet};

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

/// Hands out from the daemon if one answers, and otherwise at a desk in this process.
///
/// Either way each hand-out is recorded, and nothing secret is kept on disk.
#[derive(Debug)]
pub(crate) struct Dispensary {
    daemon: DaemonClient,
    /// None where no session is kept.
    here: Option<Here>,
}

impl Dispensary {
    /// Hands out for the profile of the context.
    pub(crate) fn of(context: &Context) -> Self {
        // `agentkeys dev` keeps its session nowhere.
        let here = (!context.is_dev()).then(|| Here::of(context));
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

/// A desk in this process, over the session that is kept.
#[derive(Debug)]
struct Here {
    http: Http,
    config: DaemonConfig,
    /// None that counts, where the policy cannot be used.
    signer_trust: Result<SignerTrust, ClientError>,
    renewal: Arc<Renewal>,
    clock: Arc<dyn Clock>,
    /// From the first wish on.
    open: Mutex<Option<OpenDesk>>,
}

/// A desk, and what keeps it fresh.
#[derive(Debug)]
struct OpenDesk {
    desk: Arc<Desk>,
    _keeper: JoinSet<()>,
}

impl Here {
    fn of(context: &Context) -> Self {
        let (places, profile) = (&context.places, context.profile.clone());
        let servers = [context.settings.broker_url.clone(), context.settings.signer_url.clone()];
        let rules = rules_of(places.clone(), profile.clone(), None);
        let config = DaemonConfig::in_places(places, profile, servers, rules);
        Self {
            http: context.http.clone(),
            config: DaemonConfig { book: context.agents(), ..config },
            signer_trust: context.signer_trust(),
            renewal: Arc::clone(&context.renewal),
            clock: Arc::clone(&context.clock),
            open: Mutex::default(),
        }
    }

    async fn desk(&self) -> Result<Arc<Desk>, ClientError> {
        let mut open = self.open.lock().await;
        if let Some(open) = &*open {
            open.desk.follow(self.rules()?);
            return Ok(Arc::clone(&open.desk));
        }
        let session = self.session().await?;
        let (renewal, clock) = (Some(Arc::clone(&self.renewal)), Arc::clone(&self.clock));
        let config = DaemonConfig { signer_trust: self.signer_trust.clone()?, ..self.config.clone() };
        let source = config.source(Some(session), renewal, Arc::clone(&clock), &self.http)?;
        let rules = self.rules()?;
        let log = HandOutLog::open(&self.config.hand_outs);
        let log = log.map_err(|error| refused(ErrorCode::AuditUnavailable, &error))?;
        let (profile, book) = (self.config.profile.clone(), self.config.book.clone());
        let desk = Arc::new(Desk::new(profile, rules, source, book, log, clock));
        let mut keeper = JoinSet::new();
        let kept = Arc::clone(&desk);
        keeper.spawn(async move { kept.keep_fresh().await });
        *open = Some(OpenDesk { desk: Arc::clone(&desk), _keeper: keeper });
        Ok(desk)
    }

    /// What a person lets whom have, as they say it now.
    fn rules(&self) -> Result<Rules, ClientError> {
        (self.config.rules)().map_err(|error| refused(ErrorCode::StorageUnavailable, &error))
    }

    /// The session, or what has to be mended first: where no broker answers, signing in would not help either.
    async fn session(&self) -> Result<Session, ClientError> {
        let session = match self.renewal.load().await {
            Ok(Some(session)) => session,
            missing => {
                BrokerClient::new(&self.http, self.config.broker_url.clone()).health().await?;
                missing?;
                return Err(ClientError::NotSignedIn);
            }
        };
        session.at(&self.config.broker_url)?;
        if session.is_over(self.clock.now()) {
            return Err(ClientError::SessionExpired);
        }
        Ok(session)
    }

    /// Reads the session anew the next time, where this answer says that a person must sign in.
    async fn learn<T>(&self, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        if answer.as_ref().is_err_and(ClientError::needs_sign_in) {
            *self.open.lock().await = None;
        }
        answer
    }
}

#[async_trait]
impl Dispenser for Here {
    async fn credentials(&self, role: &RoleName, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
        self.learn(self.desk().await?.credentials(role, agent).await).await
    }

    async fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
        self.learn(self.desk().await?.token(audience, agent).await).await
    }
}

fn refused(error: ErrorCode, reason: &dyn std::error::Error) -> ClientError {
    let detail = format!("nothing can be handed out here: {reason}");
    ClientError::Problem { problem: Problem::new(error, detail), retry_after: None }
}
