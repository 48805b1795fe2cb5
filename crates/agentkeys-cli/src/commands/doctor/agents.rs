use agentkeys_api::AgentView;
use agentkeys_client::{AgentPages, ClientError};
use agentkeys_types::{AgentName, Timestamp};

use super::finding::Finding;
use crate::{commands::agent, context::Context};

const NAME: &str = "agents";

/// Whether the agents of this machine get what they may have, and whether they wait for a person.
pub(super) async fn check(context: &Context) -> Finding {
    let pages = match agent::read(context) {
        Ok(pages) => pages,
        Err(error) => return Finding::of_error(NAME, error, context),
    };
    if pages == AgentPages::default() {
        return Finding::skipped(NAME, "none on this machine");
    }
    let known = match context.session().await {
        Ok(session) => context.broker().agents(&session).await,
        Err(error) => Err(error),
    };
    match known {
        Ok(known) => judge(&pages, &known.agents, context.clock.now(), &context.command()),
        // Why is another check's affair.
        Err(error) if error.needs_sign_in() || matches!(error, ClientError::Storage(_)) => {
            Finding::skipped(NAME, "nobody is signed in, so that the broker cannot be asked")
        }
        Err(error) => Finding::of_server_error(NAME, error, context),
    }
}

fn judge(pages: &AgentPages, known: &[AgentView], now: Timestamp, command: &str) -> Finding {
    let view = |name: &AgentName| known.iter().find(|agent| agent.name == *name);
    if let Some(name) = pages.agents.keys().find(|name| view(name).is_none()) {
        let message = format!("the broker does not know {name} (any more): it was revoked elsewhere");
        let hint = format!("{command} agent revoke {name}, or {command} agent create {name}");
        return Finding::warning(NAME, message, hint);
    }
    let is_over = |name: &&AgentName| view(name).is_some_and(|agent| agent.expires_at.is_some_and(|end| now >= end));
    if let Some(name) = pages.agents.keys().find(is_over) {
        let hint = format!("{command} agent create {name} --expires 30d, or {command} agent revoke {name}");
        return Finding::warning(NAME, format!("the time of {name} is over"), hint);
    }
    match pages.requests.len() {
        0 => Finding::ok(NAME, format!("{} on this machine", pages.agents.len())),
        1 => Finding::warning(NAME, "one request waits for you", format!("{command} agent requests")),
        count => Finding::warning(NAME, format!("{count} requests wait for you"), format!("{command} agent requests")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Status, *};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn pages(waiting: usize) -> AgentPages {
        let request = serde_json::json!({
            "id": "r", "agent": "claude", "at": NOW, "kind": "role", "name": "deploy", "reason": "…",
        });
        let agent = serde_json::json!({"roles": ["default"], "audiences": ["sts.amazonaws.com"], "created_at": NOW});
        let book = serde_json::json!({"agents": {"claude": agent}, "requests": vec![request; waiting]});
        serde_json::from_value(book).unwrap()
    }

    fn known(expires_at: Option<Timestamp>) -> Vec<AgentView> {
        vec![AgentView {
            name: "claude".parse().unwrap(),
            audiences: agentkeys_api::Audiences::default(),
            created_at: NOW,
            expires_at,
        }]
    }

    #[test]
    fn an_agent_that_gets_nothing_and_one_that_waits_are_worth_a_word() {
        for (waiting, known, status, text) in [
            (0, known(None), Status::Ok, "1 on this machine"),
            (0, Vec::new(), Status::Warning, "the broker does not know claude"),
            (0, known(Some(NOW)), Status::Warning, "the time of claude is over"),
            (2, known(None), Status::Warning, "2 requests wait"),
        ] {
            let finding = judge(&pages(waiting), &known, NOW, "agentkeys");

            assert_eq!(finding.status(), status, "{text}");
            assert!(finding.text().contains(text), "{}", finding.text());
        }
    }
}
