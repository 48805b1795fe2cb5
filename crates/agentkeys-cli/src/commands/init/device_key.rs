use std::sync::Arc;

use agentkeys_client::{Session, SessionStorage, StorageError, TerminalPrompt};
use agentkeys_crypto::DeviceKey;

use crate::{context::Context, error::CliError, output::Output};

/// The key that this device has from an earlier sign-in of the profile at the same broker.
///
/// One that is there and cannot be read now is a failure: with another key this would be another device.
pub(super) async fn kept(context: &Context, output: &Output) -> Result<Option<DeviceKey>, CliError> {
    match kept_session(context).await {
        Ok(session) => Ok(key_of(session.as_ref(), context)),
        Err(error @ StorageError::KeyLost { .. }) => {
            output.note(format_args!("  Device   a new key, because {error}: to a worker this is another device"));
            Ok(None)
        }
        Err(error) => Err(CliError::DeviceKeyUnread(error)),
    }
}

/// Says what becomes of the key before, which may have leaked, where it can be read.
pub(super) async fn part_with_kept(context: &Context, output: &Output) {
    let Ok(session) = context.store.load(&context.profile).await else { return };
    let Some(key) = key_of(session.as_ref(), context) else { return };
    let (key, command) = (key.thumbprint(), context.command());
    output.note(format_args!(
        "  Device   a new key. The one before counts until you end its sessions (`{command} sessions list` names them by \
         it) and take it away from a worker: `{command} devices remove {key}`"
    ));
}

fn key_of(session: Option<&Session>, context: &Context) -> Option<DeviceKey> {
    session?.kept_key(&context.settings.broker_url).cloned()
}

/// What the last sign-in has kept, where it has kept it, also when that is not where this one will.
async fn kept_session(context: &Context) -> Result<Option<Session>, StorageError> {
    let here = &context.storage;
    if let Some(before) = SessionStorage::remembered(&context.places, &context.profile)?
        && (before.choice(), before.key()) != (here.choice(), here.key())
    {
        let store = before.open(Arc::new(TerminalPrompt { may_ask: !context.no_input }));
        if let Some(session) = store.load(&context.profile).await? {
            return Ok(Some(session));
        }
    }
    context.store.load(&context.profile).await
}
