use agentkeys_api::DaemonCredentials;
use agentkeys_types::RoleName;
use rmcp::model::Tool;
use serde_json::json;

use super::{describe, read_only, role_property};
use crate::{
    AgentTools,
    answer::{Answer, Plain},
    arguments::Arguments,
    refusal::Refusal,
};

pub(crate) const NAME: &str = "caller_identity";

const DESCRIPTION: &str = "Tells as whom programs act with the credentials of a role: AgentKeys account, wallet, role \
    ARN, region, agent, and when the current credentials end. It fetches credentials where none are at hand, and \
    returns no part of them. The answer is AgentKeys' own; AWS is not asked.";

pub(crate) fn tool() -> Tool {
    describe(NAME, "Caller identity", DESCRIPTION, json!({ "role": role_property() }), &[])
        .with_annotations(read_only())
}

pub(crate) async fn call(tools: &AgentTools, arguments: Arguments<'_>) -> Result<Answer, Refusal> {
    let role: RoleName = arguments.optional("role")?.unwrap_or_default();
    let credentials = tools.daemon.credentials(&role, tools.agent.as_ref()).await?;
    let DaemonCredentials { account, wallet, role_arn, region, agent, expires_at, .. } = &credentials;
    let agent_in_words = agent.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let text = format!(
        "account {account}\nwallet {wallet}\nrole {role}: {} in {}\nagent {agent_in_words}\n\
         the current credentials end at {expires_at}",
        Plain(role_arn),
        Plain(region),
    );
    let structured = json!({
        "account": account,
        "wallet": wallet,
        "role": role,
        "role_arn": role_arn,
        "region": region,
        "agent": agent,
        "credentials_expire_at": expires_at,
    });
    Ok(Answer { text, structured })
}
