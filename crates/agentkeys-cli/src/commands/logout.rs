use std::{sync::Arc, time::Duration};

use agentkeys_api::ErrorCode;
use agentkeys_client::{BrokerClient, ClientError, Session, StorageError, StoreChoice, TerminalPrompt};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::KeyThumbprint;
use clap::Args;
use serde::Serialize;

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

/// What came of it, as a program reads it.
#[derive(Default, Serialize)]
struct Outcome {
    signed_out: bool,
    /// The key that this device had, which the signer may still pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_to_remove: Option<KeyThumbprint>,
    /// The store that could not be reached, and has the session and its key still.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_in: Option<String>,
}

impl LogoutArgs {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        if self.local {
            return self.forget(context, output).await;
        }
        let Some(session) = context.renewal.load().await? else {
            context.forget_storage()?;
            output.result(&Outcome::default(), |output| output.line("Nobody is signed in."));
            return Ok(());
        };
        let key_to_remove = leave_signer(context, &session).await;
        // It may be over already, which is as good. To the broker that issued it, whichever the settings name today.
        let broker = BrokerClient::new(&context.http, session.broker_url.clone());
        let revoked = if self.all {
            broker.revoke_all_sessions(&session).await
        } else {
            broker.revoke_session(&session, session.session_id).await
        };
        revoked.or_else(|error| if error.needs_sign_in() { Ok(()) } else { Err(error) })?;
        context.store.delete(&context.profile).await?;
        context.forget_storage()?;
        self.tell(Outcome { signed_out: true, key_to_remove, left_in: None }, context, output).await;
        Ok(())
    }

    /// Forgets what is here, and asks nobody: its key may be lost, and the store away.
    async fn forget(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let quietly = context.storage.open(Arc::new(TerminalPrompt { may_ask: false }));
        let session = quietly.load(&context.profile).await.ok().flatten();
        let key_to_remove = session.as_ref().and_then(own_key);
        let left_in = match context.store.delete(&context.profile).await {
            Ok(()) => None,
            // With this forgotten, another store can be taken.
            Err(error) if context.storage.choice() == StoreChoice::Keychain => Some(left(&error, context, output)),
            Err(error) => return Err(error.into()),
        };
        context.forget_storage()?;
        self.tell(Outcome { signed_out: true, key_to_remove, left_in }, context, output).await;
        Ok(())
    }

    async fn tell(&self, outcome: Outcome, context: &Context, output: &Output) {
        context.tell_daemon().await;
        if let Some(key) = outcome.key_to_remove {
            let command = context.command();
            output.note(format_args!(
                "  Device   a worker may still pin the key of this machine; at another device that it pins: `{command} \
                 devices remove {key}`"
            ));
        }
        output.result(&outcome, |output| {
            output.done(if self.all { "Signed out, here and everywhere else" } else { "Signed out" });
        });
    }
}

/// Says what a keychain still has that cannot be reached, and names it.
fn left(error: &StorageError, context: &Context, output: &Output) -> String {
    let (choice, command) = (context.storage.choice(), context.command());
    output.note(format_args!(
        "  Storage  what the {choice} has stays there, because {error}; once it can be reached: `{command} --store {choice} \
         logout --local`"
    ));
    choice.to_string()
}

/// Has the signer forget this device's key, which is gone with the session; gives the key that it may pin for all that.
///
/// Not worth a failure: without its session the key has nothing signed, but with the next one of whoever has a copy.
async fn leave_signer(context: &Context, session: &Session) -> Option<KeyThumbprint> {
    let key = own_key(session)?;
    let Ok(signer) = context.signer() else { return Some(key) };
    if session.at(&context.settings.broker_url).is_err() {
        return Some(key);
    }
    match tokio::time::timeout(TELL, signer.remove_device(session, key)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) if is_not_pinned(&error) => None,
        Ok(Err(_)) | Err(_) => Some(key),
    }
}

/// Whether the signer pins no devices, or not this one.
fn is_not_pinned(error: &ClientError) -> bool {
    match error {
        ClientError::PinsNoDevices { .. } => true,
        ClientError::Problem { problem, .. } => {
            matches!(problem.error, ErrorCode::DeviceNotPinned | ErrorCode::DeviceUnknown)
        }
        _ => false,
    }
}

/// The key of this device, also where the session does not use it.
fn own_key(session: &Session) -> Option<KeyThumbprint> {
    session.key_of_device().map(DeviceKey::thumbprint)
}
