use std::sync::Arc;

use agentkeys_client::{BrokerClient, Session, SessionStorage, StorageError, TerminalPrompt};

use crate::{commands::daemon::RunArgs, context::Context, error::CliError, output::Output};

/// Remembers where the session is kept now, and clears the place where the one before was.
pub(super) async fn settle(context: &Context, output: &Output) {
    if let Ok(Some(before)) = context.storage_before()
        && before.choice() != context.storage.choice()
        && let Err(error) = clear(&before, context).await
    {
        let (choice, command) = (before.choice(), context.command());
        output.note(format_args!(
            "  Storage  the sign-in before and its device key stay in the {choice}, because {error}: `{command} --store \
             {choice} logout --local` forgets them there"
        ));
    }
    if let Err(error) = context.storage.remember() {
        let choice = context.storage.choice();
        output.note(format_args!("  Say `--store {choice}` from now on: it cannot be remembered, because {error}"));
    }
}

/// As far as it can be done without asking anybody.
async fn clear(before: &SessionStorage, context: &Context) -> Result<(), StorageError> {
    let store = before.open(Arc::new(TerminalPrompt { may_ask: false }));
    if let Ok(Some(session)) = store.load(&context.profile).await {
        revoke(&session, context).await;
    }
    store.delete(&context.profile).await
}

/// Serves the session of this process until it is asked to end, and ends the session with it.
pub(super) async fn serve_until_the_end(context: &Context, output: &Output) -> Result<(), CliError> {
    output.note(format_args!(
        "The session is in the memory of this process only. Credentials are served at {} until Ctrl-C.",
        context.socket().display()
    ));
    let served = RunArgs::for_init().run(context).await;
    // Nobody could use it any more.
    if let Ok(Some(session)) = context.store.load(&context.profile).await {
        revoke(&session, context).await;
    }
    served
}

async fn revoke(session: &Session, context: &Context) {
    let broker = BrokerClient::new(&context.http, session.broker_url.clone());
    let _ = broker.revoke_session(session, session.session_id).await;
}
