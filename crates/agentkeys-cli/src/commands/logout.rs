use std::time::Duration;

use agentkeys_client::{BrokerClient, Session};
use clap::Args;
use serde_json::json;

use crate::{context::Context, error::CliError, output::Output};

/// For how long a signer may take that is told of it.
const TELL: Duration = Duration::from_secs(5);

/// The flags of `agentkeys logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// End every session of the account, on all machines
    #[arg(long)]
    all: bool,

    /// Only forget session and device key here, where the broker or the store cannot be reached; the session stands
    /// until it ends
    #[arg(long, conflicts_with = "all")]
    local: bool,
}

impl LogoutArgs {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        // What is only forgotten need not be read: its key may be lost.
        if !self.local {
            let Some(session) = context.renewal.load().await? else {
                context.storage.forget()?;
                output.result(&json!({"signed_out": false}), |output| output.line("Nobody is signed in."));
                return Ok(());
            };
            leave_signer(context, &session).await;
            // It may be over already, which is as good. To the broker that issued it, whichever the settings name today.
            let broker = BrokerClient::new(&context.http, session.broker_url.clone());
            let revoked = if self.all {
                broker.revoke_all_sessions(&session).await
            } else {
                broker.revoke_session(&session, session.session_id).await
            };
            revoked.or_else(|error| if error.needs_sign_in() { Ok(()) } else { Err(error) })?;
        }
        context.store.delete(&context.profile).await?;
        context.storage.forget()?;
        context.tell_daemon().await;
        output.result(&json!({"signed_out": true}), |output| {
            output.done(if self.all { "Signed out, here and everywhere else" } else { "Signed out" });
        });
        Ok(())
    }
}

/// Has the signer forget this device's key, which is gone with the session, where it pins any and this is not the last.
///
/// Not worth a failure: without its session the key has nothing signed.
async fn leave_signer(context: &Context, session: &Session) {
    let (Ok(signer), Some(key)) = (context.signer(), &session.device_key) else { return };
    if session.at(&context.settings.broker_url).is_ok() {
        let _ = tokio::time::timeout(TELL, signer.remove_device(session, key.thumbprint())).await;
    }
}
