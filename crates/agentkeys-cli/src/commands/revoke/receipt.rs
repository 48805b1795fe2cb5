use std::time::{Duration, Instant};

use agentkeys_api::{DaemonState, ErrorCode};
use agentkeys_client::{BrokerClient, ClientError, DaemonClient, Session};
use agentkeys_types::{SessionId, Timestamp};
use serde::Serialize;

use crate::{context::Context, error::CliError, output::Output};

/// A signer and a daemon follow within five seconds; what takes longer is told, and not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// For how long a web-identity JWT that was minted before can still be exchanged.
const JWT_LIFE: Duration = Duration::from_mins(5);

/// Whom a revocation reached, and after how long.
#[derive(Serialize)]
pub(super) struct Receipt {
    revoked: SessionId,
    reached: Vec<Reached>,
    /// Until when AWS may accept what it gave out before; nothing of ours can call that back.
    aws_credentials_until: Timestamp,
}

#[derive(Serialize)]
struct Reached {
    what: &'static str,
    how: &'static str,
    #[serde(rename = "reached")]
    is_done: bool,
    milliseconds: f64,
}

impl Receipt {
    /// Revokes the session, and waits for everybody that can be asked from here.
    pub(super) async fn of(
        context: &Context,
        broker: &BrokerClient,
        own: &Session,
        session_id: SessionId,
    ) -> Result<Self, ClientError> {
        let daemon = context.daemon();
        let before = daemon.status().await.ok();
        let started = Instant::now();
        broker.revoke_session(own, session_id).await?;
        let mut reached = vec![Reached::after(started, "broker", "revoked it, on disk", true)];
        let standing = broker.standing(session_id, Duration::ZERO).await;
        let is_over = standing.is_ok_and(|answer| !answer.standing);
        reached.push(Reached::after(started, "broker", "tells signers and daemons that it is over", is_over));
        if session_id == own.session_id {
            let refused = is_refused(broker.session(own).await);
            reached.push(Reached::after(started, "broker", "refuses the token", refused));
            reached.push(signer(context, own, started).await);
            if before.is_some() {
                reached.push(dropped_by(&daemon, started).await);
            }
        }
        let known = before.and_then(|status| status.credentials_expire_at).filter(|_| session_id == own.session_id);
        Ok(Self { revoked: session_id, reached, aws_credentials_until: last_credentials(context, known) })
    }

    pub(super) fn print(&self, output: &Output) {
        output.line(format_args!("Session {}", self.revoked));
        for Reached { what, how, is_done, milliseconds } in &self.reached {
            let line = format!("{what:<8}{how:<44}{milliseconds:>9.1} ms");
            if *is_done { output.done(line) } else { output.failed(line) }
        }
        output.line(format_args!(
            "AWS credentials that were given out before live until {} at the latest",
            self.aws_credentials_until
        ));
    }

    /// A failure where somebody goes on as if nothing had happened.
    pub(super) fn outcome(&self) -> Result<(), CliError> {
        match self.reached.iter().find(|reached| !reached.is_done) {
            Some(Reached { what, .. }) => Err(CliError::NotReached(what)),
            None => Ok(()),
        }
    }
}

impl Reached {
    fn after(started: Instant, what: &'static str, how: &'static str, is_done: bool) -> Self {
        Self { what, how, is_done, milliseconds: started.elapsed().as_secs_f64() * 1e3 }
    }
}

async fn signer(context: &Context, session: &Session, started: Instant) -> Reached {
    let Ok(signer) = context.signer() else {
        return Reached::after(started, "signer", "may not be asked from here", false);
    };
    let refused = until(async || is_refused(signer.derive_address(session, session.omni_account).await)).await;
    Reached::after(started, "signer", "refuses the token", refused)
}

async fn dropped_by(daemon: &DaemonClient, started: Instant) -> Reached {
    let dropped = until(async || {
        let status = daemon.status().await;
        status.is_ok_and(|status| status.state == DaemonState::SignInNeeded && status.credentials_expire_at.is_none())
    });
    let dropped = dropped.await;
    Reached::after(started, "daemon", "has dropped its credentials", dropped)
}

/// Whether `condition` holds within [`PATIENCE`].
async fn until(condition: impl AsyncFn() -> bool) -> bool {
    let started = Instant::now();
    while !condition().await {
        if started.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
}

fn is_refused<T>(answer: Result<T, ClientError>) -> bool {
    matches!(answer, Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::TokenRevoked)
}

/// The latest end of credentials that were given out: those that the daemon has, and what a JWT that was minted a
/// moment ago can still be exchanged for.
fn last_credentials(context: &Context, known: Option<Timestamp>) -> Timestamp {
    let life = Duration::from_secs(context.settings.aws.duration_seconds.as_secs().into());
    let exchanged_now = context.clock.now().after(JWT_LIFE + life);
    known.map_or(exchanged_now, |known| known.max(exchanged_now))
}
