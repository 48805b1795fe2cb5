use agentkeys_api::{AccessKind, AgentGrant, Audience, Audiences};
use agentkeys_client::AgentRequest;
use agentkeys_types::RoleName;
use clap::Args;
use serde_json::json;

use super::{create::check_role, requests::Asked};
use crate::{commands::code::confirm, context::Context, error::CliError, output::Output};

/// The flags of `agentkeys agent approve`.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The request, as `requests` shows it
    #[arg(value_name = "ID")]
    id: String,

    /// Do not ask whether that is meant
    #[arg(long, short)]
    yes: bool,
}

/// What is given.
enum Given {
    Audience(Audience),
    Role(RoleName),
}

impl AnswerArgs {
    pub(super) async fn approve(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let request = find(context, &self.id)?;
        let given = Given::read(&request)?;
        let asked = Asked::of(&request);
        let detail = given.detail(context)?;
        if !self.is_meant(&asked, &detail, context, output).await? {
            output.result(&json!({"approved": null}), |output| output.line("Nothing was given. It still waits."));
            return Ok(());
        }
        if let Given::Audience(audience) = &given {
            give_audience(context, &request, audience).await?;
        }
        let is_there = super::change(context, |pages| {
            pages.requests.retain(|waiting| waiting.id != request.id);
            let Some(agent) = pages.agents.get_mut(&request.agent) else { return false };
            match &given {
                Given::Audience(audience) => agent.audiences.insert(audience.clone()),
                Given::Role(role) => agent.roles.insert(role.clone()),
            };
            true
        })?;
        if !is_there {
            return Err(CliError::NoAgent(request.agent));
        }
        super::reload_or_tell(context, output).await;
        output
            .result(&json!({"approved": asked}), |output| output.done(format_args!("Given: {}{detail}", asked.what())));
        Ok(())
    }

    async fn is_meant(
        &self,
        asked: &Asked,
        detail: &str,
        context: &Context,
        output: &Output,
    ) -> Result<bool, CliError> {
        if self.yes {
            return Ok(true);
        }
        output.note(format_args!("  It says: {}", asked.reason()));
        confirm(&format!("Give {}{detail}?", asked.what()), context.no_input, output).await
    }
}

/// `agentkeys agent deny`
pub(super) fn deny(id: &str, context: &Context, output: &Output) -> Result<(), CliError> {
    let request = find(context, id)?;
    super::change(context, |pages| pages.requests.retain(|waiting| waiting.id != request.id))?;
    let asked = Asked::of(&request);
    output.result(&json!({"denied": asked}), |output| output.done(format_args!("Not given: {}", asked.what())));
    Ok(())
}

fn find(context: &Context, id: &str) -> Result<AgentRequest, CliError> {
    let waiting = super::read(context)?.requests.into_iter().find(|request| request.id == id);
    waiting.ok_or_else(|| CliError::NoRequest(super::shown(id)))
}

/// At the broker, which must know the agent still: what was revoked elsewhere does not come back by this.
async fn give_audience(context: &Context, request: &AgentRequest, audience: &Audience) -> Result<(), CliError> {
    let session = context.session().await?;
    let broker = context.broker();
    let known = broker.agents(&session).await?.agents.into_iter().find(|agent| agent.name == request.agent);
    let known = known.ok_or_else(|| CliError::NoAgent(request.agent.clone()))?;
    let mut audiences = known.audiences.0;
    if audiences.insert(audience.clone()) {
        let grant = AgentGrant { audiences: Some(Audiences(audiences)), expires_at: known.expires_at };
        broker.put_agent(&session, &request.agent, &grant).await?;
    }
    Ok(())
}

impl Given {
    fn read(request: &AgentRequest) -> Result<Self, CliError> {
        let name = &request.name;
        let read = match request.kind {
            AccessKind::Audience => name.parse().map(Self::Audience),
            AccessKind::Role => name.parse().map(Self::Role),
        };
        read.map_err(|error| CliError::Usage(format!("what it asks for cannot be given: {error}")))
    }

    /// What a person should know about it.
    fn detail(&self, context: &Context) -> Result<String, CliError> {
        let Self::Role(role) = self else { return Ok(String::new()) };
        check_role(context, role)?;
        let arn = context.settings.aws.role(role).map(|role| format!(" ({})", role.role_arn));
        Ok(arn.unwrap_or_default())
    }
}
