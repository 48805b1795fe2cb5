use std::time::Duration;

use agentkeys_api::ErrorCode;
use agentkeys_client::{Agent, ClientError};
use agentkeys_types::{AgentName, EvmAddress, Timestamp};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{context::Context, error::CliError, failure::Failure, output::Output};

/// For how long a web-identity JWT that was minted before can still be exchanged.
const JWT_LIFE: Duration = Duration::from_mins(5);

/// The flags of `agentkeys agent revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The agent
    #[arg(value_name = "NAME")]
    name: AgentName,
}

#[derive(Serialize)]
struct Document<'a> {
    revoked: &'a AgentName,
    was_on_this_machine: bool,
    was_at_broker: bool,
    /// Until when AWS may accept what it was given before; nothing of ours can call that back.
    aws_credentials_until: Timestamp,
    /// What ends that earlier, in the policies of the roles.
    iam_statement: &'a Value,
}

impl RevokeArgs {
    /// The book first, which this process has to itself; the daemon last, which may be stuck.
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let name = &self.name;
        let before = super::change(context, |pages| {
            pages.requests.retain(|request| request.agent != *name);
            pages.agents.remove(name)
        })?;
        let deleted = self.delete(context).await;
        let status = super::daemon_status(context).await;
        let untold = match &status {
            Ok(_) => super::reload(context).await.err(),
            Err(error) => Some(error.clone()),
        };
        let untold = untold.map(|source| CliError::DaemonUntold { agent: name.clone(), source });
        let status = status.unwrap_or_default();
        let now = context.clock.now();
        let at_hand = status.iter().flat_map(|status| &status.roles).filter(|role| role.agent.as_ref() == Some(name));
        let at_hand = at_hand.filter_map(|role| role.expires_at).max();
        let until = last_credentials(context, before.as_ref(), now).max(at_hand.unwrap_or(now));
        let statement = deny_statement(name, status.and_then(|status| status.wallet), now.after(JWT_LIFE));

        let was_at_broker = match deleted {
            Ok(was_at_broker) => was_at_broker,
            Err(source) => {
                // What is known is told all the same: it is what a person needs now.
                tell(until, &statement, |line| output.note(line));
                if let Some(untold) = untold {
                    let failure = Failure::of(&untold, Some(context));
                    output.note(format_args!("{}: {}", failure.message, failure.hint.unwrap_or_default()));
                }
                return Err(CliError::HereOnly { agent: name.clone(), source });
            }
        };
        let document = Document {
            revoked: name,
            was_on_this_machine: before.is_some(),
            was_at_broker,
            aws_credentials_until: until,
            iam_statement: &statement,
        };
        output.result(&document, |output| {
            if before.is_none() && !was_at_broker {
                return output.line(format_args!("There is no agent {name} (any more)."));
            }
            let end = if untold.is_none() { "handed out or minted" } else { "minted" };
            output.done(format_args!("Agent {name} revoked: nothing is {end} for it any more"));
            tell(until, &statement, |line| output.line(line));
        });
        untold.map_or(Ok(()), Err)
    }

    /// At the broker; whether it was there.
    async fn delete(&self, context: &Context) -> Result<bool, ClientError> {
        let session = context.session().await?;
        match context.broker().delete_agent(&session, &self.name).await {
            Ok(()) => Ok(true),
            Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn tell(until: Timestamp, statement: &Value, mut line: impl FnMut(String)) {
    line(format!("  AWS credentials that it was given before live until {until} at the latest."));
    line("  To end them now, add to the policies of its roles:".to_owned());
    for text in format!("{statement:#}").lines() {
        line(format!("    {text}"));
    }
}

/// The latest end of credentials that a JWT of a moment ago can still be exchanged for.
fn last_credentials(context: &Context, agent: Option<&Agent>, now: Timestamp) -> Timestamp {
    let aws = &context.settings.aws;
    let roles = aws.roles().into_iter().filter(|role| agent.is_none_or(|agent| agent.roles.contains(&role.name)));
    let longest = roles.map(|role| Duration::from(role.duration)).max();
    now.after(JWT_LIFE + longest.unwrap_or_else(|| aws.duration_seconds.into()))
}

/// Denies all that was issued before `until` to the agent; of this wallet, where it is known: other people may call
/// theirs the same.
fn deny_statement(name: &AgentName, wallet: Option<EvmAddress>, until: Timestamp) -> Value {
    let mut tags = json!({"aws:PrincipalTag/agentkeys_agent": name});
    if let Some(wallet) = wallet {
        tags["aws:PrincipalTag/agentkeys_user_wallet"] = json!(wallet.to_lowercase());
    }
    json!({
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": tags, "DateLessThan": {"aws:TokenIssueTime": until}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_denies_what_one_persons_agent_was_given_until_no_jwt_of_it_counts() {
        let wallet = "0x74144a5f826537a8610B136552c6fFEc9D37A6dE".parse().unwrap();

        let statement =
            deny_statement(&"claude".parse().unwrap(), Some(wallet), Timestamp::from_unix(0).after(JWT_LIFE));

        assert_eq!(
            statement.to_string(),
            concat!(
                r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":"#,
                r#"{"aws:PrincipalTag/agentkeys_agent":"claude","#,
                r#""aws:PrincipalTag/agentkeys_user_wallet":"0x74144a5f826537a8610b136552c6ffec9d37a6de"},"#,
                r#""DateLessThan":{"aws:TokenIssueTime":"1970-01-01T00:05:00Z"}}}"#
            )
        );
    }
}
