use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use agentkeys_client::{ClientError, ConfigError, Exit, Http, Places, Renewal};
use agentkeys_types::SystemClock;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Daemon, DaemonArgs, DaemonConfig, EndpointError, PrivateFileError, Running, ServiceManager, SocketError};

/// How often a daemon whose session has ended looks whether the person has signed in again, where nobody asks it for
/// anything: it looks whenever somebody does.
const NEW_SESSION: Duration = Duration::from_mins(1);
/// Between two such looks at least.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a daemon does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A server refused, or nobody is signed in.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The endpoint cannot be opened.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No role is set, nor is there an agent, nor a token file to keep.
    #[error(
        "there is nothing to serve: no role is set (`role_arn` in the section [aws] of the settings names it), there is no agent, and no token file to keep ([daemon.token_files])"
    )]
    NoRole,
    /// The system does not let the process protect itself, listen to signals, or read and write its files.
    #[error("the system refused: {0}")]
    Process(#[source] io::Error),
    /// The socket cannot be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A token cannot be put where programs look for it.
    #[error(transparent)]
    TokenFile(#[from] PrivateFileError),
}

impl RunError {
    /// How the process ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => error.exit(),
            Self::Config(_) | Self::NoRole => Exit::Usage,
            Self::Endpoint(_) | Self::Process(_) | Self::Socket(_) | Self::TokenFile(_) => Exit::Other,
        }
    }
}

/// Runs a daemon for the person whose session `renewal` keeps, until the process is asked to end.
///
/// Started by a service manager it also waits for a person to sign in; from a terminal it says so and ends.
pub async fn run(
    args: DaemonArgs,
    places: &Places,
    renewal: Arc<Renewal>,
    mut manager: ServiceManager,
) -> Result<(), RunError> {
    let mut signals = Signals::listen().map_err(RunError::Process)?;

    let listener = manager.take_socket();
    let waits = listener.is_some() || args.wait;
    let config = DaemonConfig { waits, ..args.configure(places)? };
    let profile = config.profile.clone();
    let session = match renewal.load().await {
        Err(error) if waits => {
            tracing::warn!(%error, code = error.code(), "the session cannot be read yet");
            None
        }
        loaded => loaded.map_err(ClientError::from)?,
    };
    if session.is_none() && !waits {
        return Err(ClientError::NotSignedIn.into());
    }
    let (keeper, clock) = (Some(Arc::clone(&renewal)), Arc::new(SystemClock));
    let running = Daemon::open(config, session, keeper, clock, &Http::default(), listener).await?;
    manager.ready();
    manager.status(&format!("hands out for the profile {profile}"));
    tracing::info!(socket = %running.socket().display(), %profile, "credentials are served");

    let outcome = tend(&running, &renewal, &manager, &mut signals, waits).await;
    manager.stopping();
    running.stop().await;
    outcome
}

/// What a process can be told from outside.
struct Signals {
    interrupt: Signal,
    reload: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let [interrupt, reload, terminate] =
            [SignalKind::interrupt(), SignalKind::hangup(), SignalKind::terminate()].map(signal);
        Ok(Self { interrupt: interrupt?, reload: reload?, terminate: terminate? })
    }
}

/// Fetches the first credentials, and does what it is told until that is to stop. `waits`: a refusal does not end it.
async fn tend(
    running: &Running,
    renewal: &Renewal,
    manager: &ServiceManager,
    signals: &mut Signals,
    waits: bool,
) -> Result<(), RunError> {
    let first = async {
        match running.fetch_first().await {
            Err(error) if !waits => error,
            _ => std::future::pending().await,
        }
    };
    let follow = follow_sign_ins(running, renewal);
    tokio::pin!(first, follow);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            () = running.asked_to_stop() => return Ok(()),
            error = &mut first => return Err(error.into()),
            () = &mut follow => {}
            _ = signals.reload.recv() => {
                manager.reloading();
                if let Err(error) = running.reload().await {
                    tracing::warn!(%error, "the settings cannot be used, so the ones before stay");
                }
                manager.ready();
            }
        }
    }
}

/// Goes on with a new session once the person has signed in again. Sleeps while none is needed.
async fn follow_sign_ins(running: &Running, renewal: &Renewal) {
    let mut tried = None;
    loop {
        // Also a hint by itself counts: after a reload nobody is shut out until they have asked again.
        let hint = running.hint_of_sign_in();
        if running.is_shut_out() {
            let _ = tokio::time::timeout(NEW_SESSION, hint).await;
        } else {
            hint.await;
        }
        match renewal.load().await {
            Ok(Some(session)) if running.has(&session) => {
                // A server that was wrong, about the time for example, is asked again; not at each caller's bidding.
                if tried.is_none_or(|tried: Instant| tried.elapsed() >= NEW_SESSION) {
                    tried = Some(Instant::now());
                    if let Err(error) = running.try_again().await {
                        tracing::debug!(%error, code = error.code(), "the session does not count yet");
                    }
                }
            }
            Ok(Some(session)) => {
                if let Err(error) = running.sign_in(session).await {
                    tracing::warn!(%error, code = error.code(), "the new session does not work either");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, code = error.code(), "the session cannot be read"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
