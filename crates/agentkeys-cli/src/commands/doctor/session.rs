use std::time::Duration;

use agentkeys_api::SessionView;
use agentkeys_client::ClientError;
use agentkeys_types::Timestamp;

use super::finding::Finding;
use crate::{context::Context, duration};

const NAME: &str = "session";
/// Less is worth a word.
const SOON: Duration = Duration::from_hours(24);

/// Whether somebody is signed in, for how long, and how the session is protected.
pub(super) async fn check(context: &Context) -> Finding {
    if context.is_dev() {
        return Finding::skipped(NAME, "`agentkeys dev` holds it: see the daemon");
    }
    let session = match context.session().await {
        Ok(session) => session,
        Err(ClientError::Storage(_)) => return Finding::skipped(NAME, "the store cannot be read"),
        Err(error) => return Finding::of_error(NAME, error, context),
    };
    match context.broker().session(&session).await {
        Ok(view) => judge(&view, context.clock.now(), &context.command()),
        Err(ClientError::Unreachable { .. }) => {
            let left = duration::display(session.expires_at.since(context.clock.now()));
            let message = format!("{left} left; whether it was revoked is not known, as no broker answered");
            Finding::warning(NAME, message, "try again when the broker answers")
        }
        Err(error) => Finding::of_error(NAME, error, context),
    }
}

fn judge(view: &SessionView, now: Timestamp, command: &str) -> Finding {
    let left = view.expires_at.since(now);
    let binding = if view.bound {
        "bound to this device's key"
    } else {
        "bound to no device key, so whoever has the token can use it"
    };
    let message = format!("{} stands, {} left, {binding}", view.session_id, duration::display(left));
    if left < SOON {
        return Finding::warning(NAME, message, format!("{command} init --force"));
    }
    if !view.bound {
        return Finding::warning(NAME, message, format!("revoke it when in doubt: {command} logout"));
    }
    Finding::ok(NAME, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::finding::Status, *};

    const NOW: Timestamp = Timestamp::from_unix(1_797_933_600);

    fn view(left: Duration, bound: bool) -> SessionView {
        let account = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";
        serde_json::from_value(json!({
            "session_id": "08".repeat(16), "kind": "session", "omni_account": account, "account": account,
            "identity": {"type": "email", "value": "ada@example.com"}, "client_name": null,
            "created_at": NOW, "auth_time": NOW, "expires_at": NOW.after(left), "bound": bound,
        }))
        .unwrap()
    }

    #[test]
    fn only_a_bound_session_with_time_left_needs_no_word() {
        let (hour, month) = (Duration::from_hours(1), Duration::from_hours(720));
        for (left, bound, status) in [
            (month, true, Status::Ok),
            (month, false, Status::Warning),
            (hour, true, Status::Warning),
            (hour, false, Status::Warning),
        ] {
            assert_eq!(judge(&view(left, bound), NOW, "agentkeys").status(), status);
        }
    }
}
