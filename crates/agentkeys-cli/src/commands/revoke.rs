mod receipt;

use agentkeys_client::{BrokerClient, ClientError};
use agentkeys_types::SessionId;
use clap::Args;
use serde_json::json;

use self::receipt::Receipt;
use crate::{context::Context, error::CliError, output::Output};

/// The flags of `agentkeys revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The session to end, as `agentkeys sessions list` shows it; this one unless given
    #[arg(value_name = "ID")]
    session_id: Option<SessionId>,

    /// Wait until broker, signer and daemon refuse it, and print how long each took, and what lives on until when
    #[arg(long)]
    receipt: bool,
}

impl RevokeArgs {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        // Not a fresh token: the one that is kept is the one that must fall.
        let own = context.renewal.load().await?.ok_or(ClientError::NotSignedIn)?;
        let session_id = self.session_id.unwrap_or(own.session_id);
        let broker = BrokerClient::new(&context.http, own.broker_url.clone());
        // What is kept stays: the next sign-in is this device again.
        if self.receipt {
            let receipt = Receipt::of(context, &broker, &own, session_id).await?;
            output.result(&receipt, |output| receipt.print(output));
            return receipt.outcome();
        }
        broker.revoke_session(&own, session_id).await?;
        output.result(&json!({"revoked": session_id}), |output| {
            output.done(format_args!("Session {session_id} revoked"));
        });
        Ok(())
    }
}
