use agentkeys_api::RoleStatus;
use agentkeys_types::AgentName;
use clap::Args;
use serde::Serialize;

use super::{
    doors::Doors,
    end, joined,
    list::{Row, rows},
    requests::Asked,
};
use crate::{context::Context, error::CliError, output::Output};

/// The flags of `agentkeys agent show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The agent
    #[arg(value_name = "NAME")]
    name: AgentName,
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    row: Row,
    #[serde(skip_serializing_if = "Option::is_none")]
    doors: Option<Doors>,
    requests: Vec<Asked>,
    /// What the daemon has at hand for it.
    at_hand: Vec<RoleStatus>,
}

impl ShowArgs {
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let pages = super::read(context)?;
        let session = context.session().await?;
        let known = context.broker().agents(&session).await?.agents;
        let row = rows(context, &known, &pages).into_iter().find(|row| row.name == self.name);
        let row = row.ok_or_else(|| CliError::NoAgent(self.name.clone()))?;
        let at_hand = super::daemon_status(context).await.ok().flatten().map(|status| status.roles).unwrap_or_default();
        let document = Document {
            doors: pages.agents.get(&self.name).map(|agent| Doors::of(context, &self.name, agent)),
            requests: pages.requests.iter().filter(|request| request.agent == self.name).map(Asked::of).collect(),
            at_hand: at_hand.into_iter().filter(|role| role.agent.as_ref() == Some(&self.name)).collect(),
            row,
        };
        output.result(&document, |output| document.print(context, output));
        Ok(())
    }
}

impl Document {
    fn print(&self, context: &Context, output: &Output) {
        let Row { name, roles, audiences, expires_at, missing, .. } = &self.row;
        output.line(format_args!("agent       {name}"));
        output.line(format_args!("roles       {}", joined(roles)));
        output.line(format_args!("audiences   {}", joined(audiences)));
        output.line(format_args!("ends        {}", end(*expires_at, context.clock.now())));
        for lack in missing {
            output.line(format_args!("! {lack}"));
        }
        for role in &self.at_hand {
            let end = role.expires_at.map_or_else(|| "none at hand".to_owned(), |end| format!("until {end}"));
            output.line(format_args!("credentials {}: {end}", role.role));
        }
        if let Some(doors) = &self.doors {
            output.line("ways in");
            doors.print(output);
        }
        for request in &self.requests {
            request.print(output);
        }
    }
}
