use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agentkeys_client::{
    AwsSettings, BrokerClient, ClientError, Flow, Http, ProfileName, Renewal, Role, ServerUrl, Session, SignerClient,
    SignerTrust,
};
use agentkeys_types::Clock;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{
    Cached, CredentialSource, RunError, Socket, WalletSource,
    routes::{Desk, Peer, router},
    standing,
};

/// A sleeping machine's timers stand still, so the clock is looked at this often at least.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long a stopping daemon waits for the answers under way.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What a daemon works with.
#[derive(Clone, Debug)]
pub struct DaemonConfig {
    /// The broker.
    pub broker_url: ServerUrl,
    /// The signer.
    pub signer_url: ServerUrl,
    /// What must be known of the signer.
    pub signer_trust: SignerTrust,
    /// The role in AWS.
    pub aws: AwsSettings,
    /// The profile that it serves.
    pub profile: ProfileName,
    /// Where it listens.
    pub socket: PathBuf,
}

/// Keeps one person's credentials fresh and hands them to agents.
#[derive(Clone, Copy, Debug)]
pub struct Daemon;

impl Daemon {
    /// Derives and links the wallet of the person behind `session`, fetches credentials, and serves them; `renewal`
    /// gives the session a fresh token in time.
    ///
    /// Servers that are away do not keep it from starting: it goes on asking them.
    ///
    /// # Errors
    ///
    /// When the socket cannot be opened, a setting is missing or wrong, or a server refused for good.
    pub async fn start(
        config: DaemonConfig,
        session: Session,
        renewal: Option<Arc<Renewal>>,
        clock: Arc<dyn Clock>,
        http: &Http,
    ) -> Result<Running, RunError> {
        let role = Role::of(&config.aws).ok_or(RunError::NoRole)?;
        let signer = SignerClient::new(http, config.signer_url.clone(), config.signer_trust)?;
        let flow = Flow::new(http, config.broker_url.clone(), signer);
        let broker_url = config.broker_url.clone();
        let source = Arc::new(WalletSource::new(flow, role, session, renewal, Arc::clone(&clock)));
        let mut running = Self::serve(config, Arc::clone(&source) as Arc<dyn CredentialSource>, clock).await?;
        let broker = BrokerClient::new(http, broker_url);
        running.watch.spawn(standing::watch(broker, Arc::clone(&source), Arc::clone(&running.cached)));
        running.wallet = Some(source);
        match running.cached.fetch().await {
            Err(error) if !error.retryable() => {
                running.stop().await;
                Err(error.into())
            }
            _ => Ok(running),
        }
    }

    /// Serves the credentials of any source, and renews them in time.
    pub async fn serve(
        config: DaemonConfig,
        source: Arc<dyn CredentialSource>,
        clock: Arc<dyn Clock>,
    ) -> Result<Running, RunError> {
        let socket = Socket::open(&config.socket).await?;
        let cached = Arc::new(Cached::new(source, Arc::clone(&clock)));
        if config.aws.role_arn.is_none() {
            return Err(RunError::NoRole);
        }
        let desk = Desk { profile: config.profile, aws: config.aws, cached: Arc::clone(&cached) };
        let (stop, stopped) = watch::channel(());
        let path = socket.path().to_owned();
        let server = tokio::spawn(answer(socket, desk, stopped.clone()));
        let renewal = tokio::spawn(renew(Arc::clone(&cached), clock, stopped));
        Ok(Running { path, cached, wallet: None, watch: JoinSet::new(), stop, server, renewal })
    }
}

/// A daemon that answers. Stops when dropped.
pub struct Running {
    path: PathBuf,
    cached: Arc<Cached<Arc<dyn CredentialSource>>>,
    wallet: Option<Arc<WalletSource>>,
    /// Ends with the daemon.
    watch: JoinSet<()>,
    stop: watch::Sender<()>,
    server: JoinHandle<()>,
    renewal: JoinHandle<()>,
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

    /// What it hands out, as the socket would.
    pub fn credentials(&self) -> &Cached<Arc<dyn CredentialSource>> {
        &self.cached
    }

    /// Goes on with `session` if it is another one than before, as after a new sign-in.
    pub async fn sign_in(&self, session: Session) -> Result<(), ClientError> {
        let Some(wallet) = &self.wallet else { return Ok(()) };
        if wallet.session().session_id == session.session_id {
            return Ok(());
        }
        wallet.replace_session(session);
        self.cached.forget();
        self.cached.fetch().await.map(drop)
    }

    /// Stops listening, removes the socket, and returns when the answers under way have left.
    pub async fn stop(self) {
        let Self { stop, server, renewal, .. } = self;
        drop(stop);
        let _ = tokio::join!(server, renewal);
    }
}

async fn answer(socket: Socket, desk: Desk, mut stopped: watch::Receiver<()>) {
    let (listener, file) = socket.into_parts();
    let service = router(Arc::new(desk)).into_make_service_with_connect_info::<Peer>();
    let mut told = stopped.clone();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move { drop(told.changed().await) });
    let too_late = async {
        let _ = stopped.changed().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        _ = server => {}
        () = too_late => {}
    }
    drop(file);
}

async fn renew(
    cached: Arc<Cached<Arc<dyn CredentialSource>>>,
    clock: Arc<dyn Clock>,
    mut stopped: watch::Receiver<()>,
) {
    let forever = async {
        loop {
            let due = cached.refresh_if_due().await;
            let pause = due.since(clock.now()).clamp(Duration::from_secs(1), LONGEST_SLEEP);
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = forever => {}
        _ = stopped.changed() => {}
    }
}
