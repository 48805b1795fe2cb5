use agentkeys_api::Allowed;
use rmcp::model::Tool;
use serde_json::json;

use super::{describe, read_only};
use crate::{
    AgentTools,
    answer::{Answer, Plain},
    refusal::Refusal,
};

pub(crate) const NAME: &str = "list_access";

const DESCRIPTION: &str = "Lists what this agent may have through AgentKeys: the AWS roles (name, ARN, region), the \
    audiences of web-identity JWTs, and until when. Call it first. Nothing is handed out by it.";

pub(crate) fn tool() -> Tool {
    describe(NAME, "List access", DESCRIPTION, json!({}), &[]).with_annotations(read_only())
}

pub(crate) async fn call(tools: &AgentTools) -> Result<Answer, Refusal> {
    let allowed = tools.daemon.allowed(tools.agent.as_ref()).await?;
    let structured = json!({
        "agent": allowed.agent,
        "expires_at": allowed.expires_at,
        "roles": allowed.roles,
        "audiences": allowed.audiences,
    });
    Ok(Answer { text: in_words(&allowed), structured })
}

fn in_words(allowed: &Allowed) -> String {
    let who = allowed.agent.as_ref().map_or_else(|| "The person".to_owned(), |agent| format!("The agent `{agent}`"));
    let until = allowed.expires_at.map(|end| format!(" until {end}")).unwrap_or_default();
    let mut lines = vec![format!("{who} may have{until}:")];
    for role in &allowed.roles {
        lines.push(format!("- role {}: {} in {}", role.name, Plain(&role.role_arn), Plain(&role.region)));
    }
    for audience in &allowed.audiences {
        lines.push(format!("- audience {audience}"));
    }
    if allowed.roles.is_empty() {
        lines.push("- no role".to_owned());
    }
    if allowed.audiences.is_empty() {
        // A person has what the broker allows.
        lines
            .push(if allowed.agent.is_some() { "- no audience" } else { "- audiences: the broker decides" }.to_owned());
    }
    lines.join("\n")
}
