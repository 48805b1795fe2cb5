use agentkeys_api::{DaemonState, DaemonStatus};
use agentkeys_client::{ClientError, Exit};

use super::finding::Finding;
use crate::context::Context;

const NAME: &str = "daemon";

/// Whether the profile's daemon runs, and has credentials to hand out.
pub(super) async fn check(context: &Context) -> Finding {
    let command = context.command();
    match context.daemon().status().await {
        Ok(status) => judge(&status, &command),
        Err(ClientError::NoDaemon { .. }) if context.is_dev() => {
            Finding::failure(NAME, Exit::Unreachable, "`agentkeys dev` does not run", "start it: agentkeys dev")
        }
        Err(ClientError::NoDaemon { .. }) => {
            let message = "none runs: each command asks for credentials anew";
            Finding::warning(
                NAME,
                message,
                format!("start one with `{command} daemon run`, or `{command} daemon install`"),
            )
        }
        Err(error) => Finding::of_error(NAME, error, context),
    }
}

fn judge(status: &DaemonStatus, command: &str) -> Finding {
    let last = status.last_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    match status.state {
        DaemonState::Idle => Finding::ok(NAME, "sleeps, because nobody has asked for some time"),
        DaemonState::Ready => Finding::ok(NAME, "has credentials at hand"),
        DaemonState::Starting => Finding::ok(NAME, "has just started"),
        DaemonState::Retrying => {
            Finding::warning(NAME, format!("has no credentials, and tries again{last}"), "mend what failed above")
        }
        DaemonState::SignInNeeded => {
            Finding::failure(NAME, Exit::SignInNeeded, "waits for a sign-in", format!("{command} init"))
        }
    }
}
