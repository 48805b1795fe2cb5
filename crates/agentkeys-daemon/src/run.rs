use std::{io, sync::Arc, time::Duration};

use agentkeys_client::{ClientError, ConfigError, Exit, Http, Places, Renewal};
use agentkeys_types::SystemClock;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Daemon, DaemonArgs, Running, SocketError};

/// How often a daemon whose session has ended looks whether the person has signed in again.
const NEW_SESSION: Duration = Duration::from_secs(15);

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
    /// No role is set.
    #[error("no role is set: `role_arn` in the section [aws] of the settings names it")]
    NoRole,
    /// The system does not let the process protect itself, or listen to signals.
    #[error("the system refused")]
    Process(#[source] io::Error),
    /// The socket cannot be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

impl RunError {
    /// How the process ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => error.exit(),
            Self::Config(_) | Self::NoRole => Exit::Usage,
            Self::Process(_) | Self::Socket(_) => Exit::Other,
        }
    }
}

/// Runs a daemon for the person whose session `renewal` keeps, until the process is asked to end.
pub async fn run(args: DaemonArgs, places: &Places, renewal: Arc<Renewal>) -> Result<(), RunError> {
    let mut asked_to_end = signal(SignalKind::terminate()).map_err(RunError::Process)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(RunError::Process)?;

    let config = args.configure(places)?;
    let profile = config.profile.clone();
    let session = renewal.load().await.map_err(ClientError::from)?.ok_or(ClientError::NotSignedIn)?;
    let keeper = Some(Arc::clone(&renewal));
    let running = Daemon::start(config, session, keeper, Arc::new(SystemClock), &Http::default()).await?;
    tracing::info!(socket = %running.socket().display(), %profile, "credentials are served");

    tokio::select! {
        _ = asked_to_end.recv() => {}
        _ = interrupted.recv() => {}
        () = follow_sign_ins(&running, &profile, &renewal) => {}
    }
    running.stop().await;
    Ok(())
}

/// Goes on with a new session once the person has signed in again.
async fn follow_sign_ins(running: &Running, profile: &agentkeys_client::ProfileName, renewal: &Renewal) {
    loop {
        tokio::time::sleep(NEW_SESSION).await;
        if running.credentials().status(profile.as_str()).state != agentkeys_api::DaemonState::SignInNeeded {
            continue;
        }
        if let Ok(Some(session)) = renewal.load().await
            && let Err(error) = running.sign_in(session).await
        {
            tracing::warn!(%error, "the new session does not work either");
        }
    }
}
