use std::{
    fmt,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agentkeys_api::DaemonStatus;
use agentkeys_client::{
    AgentBook, BrokerClient, ClientError, Dispenser, Flow, Http, Places, ProfileName, Renewal, ServerUrl, Session,
    SignerClient, SignerTrust,
};
use agentkeys_types::{Clock, RoleName};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

use crate::{
    CredentialSource, Desk, HandOutLog, RunError, Socket, WalletSource,
    control::{Controls, Reload},
    doors::Doors,
    rules::ReadRules,
    standing,
};

/// How long a reload waits for what servers say that had refused before.
const LONGEST_QUESTION: Duration = Duration::from_secs(5);

/// What a daemon works with.
#[derive(Clone)]
pub struct DaemonConfig {
    /// The broker.
    pub broker_url: ServerUrl,
    /// The signer.
    pub signer_url: ServerUrl,
    /// What must be known of the signer.
    pub signer_trust: SignerTrust,
    /// The profile that it serves.
    pub profile: ProfileName,
    /// Where it listens.
    pub socket: PathBuf,
    /// Where it records what it hands out.
    pub hand_outs: PathBuf,
    /// Where agents' requests are kept.
    pub book: AgentBook,
    /// Reads who may have what.
    pub rules: Arc<ReadRules>,
    /// Whether it also serves while something is missing that a person can mend later: a role, a free port.
    pub waits: bool,
}

impl fmt::Debug for DaemonConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut formatter = formatter.debug_struct("DaemonConfig");
        formatter.field("broker_url", &self.broker_url).field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl DaemonConfig {
    /// Serves `profile` by `rules`, in the usual places.
    pub fn in_places(
        places: &Places,
        profile: ProfileName,
        [broker_url, signer_url]: [ServerUrl; 2],
        rules: Arc<ReadRules>,
    ) -> Self {
        Self {
            broker_url,
            signer_url,
            signer_trust: SignerTrust::Loopback,
            socket: places.socket(&profile),
            hand_outs: places.hand_outs(&profile),
            book: AgentBook::of(places, &profile),
            rules,
            waits: false,
            profile,
        }
    }

    /// What gives credentials by the wallet of the person behind `session`.
    pub fn source(
        &self,
        session: Option<Session>,
        renewal: Option<Arc<Renewal>>,
        clock: Arc<dyn Clock>,
        http: &Http,
    ) -> Result<Arc<WalletSource>, ClientError> {
        let signer = SignerClient::new(http, self.signer_url.clone(), self.signer_trust.clone())?;
        let flow = Flow::new(http, self.broker_url.clone(), signer);
        Ok(Arc::new(WalletSource::new(flow, session, renewal, clock)))
    }

    /// A desk over `source` by the rules that hold now.
    pub fn desk(&self, source: Arc<dyn CredentialSource>, clock: Arc<dyn Clock>) -> Result<Desk, RunError> {
        let rules = (self.rules)()?;
        // Agents and files have JWTs, for which no role is needed.
        let has_nothing =
            rules.aws.roles().is_empty() && rules.agents.is_empty() && rules.daemon.token_files.is_empty();
        if has_nothing && !self.waits {
            return Err(RunError::NoRole);
        }
        let log = HandOutLog::open(&self.hand_outs).map_err(RunError::Process)?;
        Ok(Desk::new(self.profile.clone(), rules, source, self.book.clone(), log, clock))
    }
}

/// Keeps one person's credentials fresh and hands them to agents.
#[derive(Clone, Copy, Debug)]
pub struct Daemon;

impl Daemon {
    /// Serves the credentials of the person behind `session`, whose token `renewal` renews in time; without a session,
    /// everybody is told that a person must sign in.
    ///
    /// Answers before it has fetched anything. `socket` is one that a service manager already listens on.
    ///
    /// # Errors
    ///
    /// When the socket cannot be opened, or a setting is missing or wrong.
    pub async fn open(
        config: DaemonConfig,
        session: Option<Session>,
        renewal: Option<Arc<Renewal>>,
        clock: Arc<dyn Clock>,
        http: &Http,
        socket: Option<UnixListener>,
    ) -> Result<Running, RunError> {
        let source = config.source(session, renewal, Arc::clone(&clock), http)?;
        let broker = BrokerClient::new(http, config.broker_url.clone());
        let socket = match socket {
            Some(listener) => Socket::adopt(listener, &config.socket)?,
            None => Socket::open(&config.socket).await?,
        };
        let mut running = Self::behind(socket, config, Arc::clone(&source) as Arc<dyn CredentialSource>, clock).await?;
        running.background.spawn(standing::watch(broker, Arc::clone(&source), Arc::clone(&running.desk)));
        running.wallet = Some(source);
        Ok(running)
    }

    /// As [`Daemon::open`], and fetches the default role's credentials at once.
    ///
    /// Servers that are away do not keep it from starting: it goes on asking them.
    ///
    /// # Errors
    ///
    /// Also when a server refused for good.
    pub async fn start(
        config: DaemonConfig,
        session: Session,
        renewal: Option<Arc<Renewal>>,
        clock: Arc<dyn Clock>,
        http: &Http,
    ) -> Result<Running, RunError> {
        let running = Self::open(config, Some(session), renewal, clock, http, None).await?;
        match running.fetch_first().await {
            Ok(()) => Ok(running),
            Err(error) => {
                running.stop().await;
                Err(error.into())
            }
        }
    }

    /// Serves the credentials of any source, and renews them in time.
    pub async fn serve(
        config: DaemonConfig,
        source: Arc<dyn CredentialSource>,
        clock: Arc<dyn Clock>,
    ) -> Result<Running, RunError> {
        let socket = Socket::open(&config.socket).await?;
        Self::behind(socket, config, source, clock).await
    }

    async fn behind(
        socket: Socket,
        config: DaemonConfig,
        source: Arc<dyn CredentialSource>,
        clock: Arc<dyn Clock>,
    ) -> Result<Running, RunError> {
        let desk = Arc::new(config.desk(source, clock)?);
        let (controls, reloads) = Controls::new();
        let path = socket.path().to_owned();
        let mut doors = Doors::open(socket, Arc::clone(&desk), controls.clone());
        match doors.follow().await {
            Err(error) if config.waits => tracing::warn!(%error, "not every door could be opened"),
            Err(error) => {
                doors.close().await;
                return Err(error);
            }
            Ok(()) => {}
        }
        let (stop, stopped) = watch::channel(());
        let mut background = JoinSet::new();
        let kept = Arc::clone(&desk);
        background.spawn(async move { kept.keep_fresh().await });
        let doors = tokio::spawn(tend(doors, Arc::clone(&desk), config.rules, reloads, stopped));
        Ok(Running { path, desk, controls, wallet: None, background, stop, doors })
    }
}

/// Follows the rules when they change, and closes the doors in the end.
async fn tend(
    mut doors: Doors,
    desk: Arc<Desk>,
    read: Arc<ReadRules>,
    mut reloads: mpsc::Receiver<Reload>,
    mut stopped: watch::Receiver<()>,
) {
    loop {
        let reload = tokio::select! {
            reload = reloads.recv() => reload,
            _ = stopped.changed() => None,
        };
        let Some(answer) = reload else { break };
        let outcome = match read() {
            Ok(rules) => {
                desk.follow(rules);
                let followed = doors.follow().await;
                // A server may have been wrong when it said that a person must sign in, about the time for example.
                let _ = tokio::time::timeout(LONGEST_QUESTION, desk.shelf.ask_again()).await;
                // A person who has signed in has the daemon read everything anew.
                desk.shelf.shut_out.notify_one();
                followed
            }
            Err(error) => Err(error),
        };
        // Whoever asked may be gone.
        let _ = answer.send(outcome);
    }
    doors.close().await;
}

/// A daemon that answers. Stops when dropped.
pub struct Running {
    path: PathBuf,
    desk: Arc<Desk>,
    controls: Controls,
    wallet: Option<Arc<WalletSource>>,
    /// Ends with the daemon.
    background: JoinSet<()>,
    stop: watch::Sender<()>,
    doors: JoinHandle<()>,
}

impl fmt::Debug for Running {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Running").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Running {
    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.path
    }

    /// How it is doing.
    pub fn status(&self) -> DaemonStatus {
        DaemonStatus { endpoint: self.controls.endpoint(), ..self.desk.status() }
    }

    /// Reads the rules anew; who is served meanwhile notices nothing. What a server refused is asked for again.
    ///
    /// # Errors
    ///
    /// When they cannot be used: those before stay.
    pub async fn reload(&self) -> Result<(), RunError> {
        self.controls.reload().await
    }

    /// Completes when somebody has asked the daemon to stop.
    pub async fn asked_to_stop(&self) {
        self.controls.asked_to_stop().await;
    }

    /// Fetches the default role's credentials, so that they are at hand when somebody asks; nothing, where none is set.
    ///
    /// # Errors
    ///
    /// When a server refused for good; one that is away is asked again.
    pub async fn fetch_first(&self) -> Result<(), ClientError> {
        let rules = self.desk.rules();
        let Some(role) = rules.aws.role(&RoleName::default()) else { return Ok(()) };
        let fetched = self.desk.shelf.credentials(&role, None).fetch().await;
        self.desk.shelf.changed.notify_one();
        self.desk.shelf.filled.notify_one();
        match fetched {
            Err(error) if !error.retryable() => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether a person must sign in before something that was asked for can be had.
    pub(crate) fn is_shut_out(&self) -> bool {
        self.desk.shelf.is_shut_out()
    }

    /// Completes when a person may have to sign in, or may have done so.
    pub(crate) async fn hint_of_sign_in(&self) {
        self.desk.shelf.shut_out.notified().await;
    }

    /// Whether `session` is the one in use.
    pub(crate) fn has(&self, session: &Session) -> bool {
        let current = self.wallet.as_ref().and_then(|wallet| wallet.session());
        current.is_some_and(|current| current.session_id == session.session_id)
    }

    /// Goes on with `session` if it is another one than before, as after a new sign-in.
    pub async fn sign_in(&self, session: Session) -> Result<(), ClientError> {
        let Some(wallet) = &self.wallet else { return Ok(()) };
        if self.has(&session) {
            return Ok(());
        }
        wallet.replace_session(session);
        self.desk.shelf.clear();
        self.fetch_first().await
    }

    /// Asks the servers anew with the same session: one of them may have been wrong when it refused it.
    pub(crate) async fn try_again(&self) -> Result<(), ClientError> {
        self.desk.shelf.ask_again().await;
        self.fetch_first().await
    }

    /// What it hands out to this process.
    pub fn dispenser(&self) -> Arc<dyn Dispenser> {
        Arc::clone(&self.desk) as Arc<dyn Dispenser>
    }

    /// Closes every door, removes the sockets, and returns when the answers under way have left.
    pub async fn stop(self) {
        let Self { stop, doors, .. } = self;
        drop(stop);
        let _ = doors.await;
    }
}
