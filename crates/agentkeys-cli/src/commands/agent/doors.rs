use std::path::PathBuf;

use agentkeys_client::{Agent, AgentFolder};
use agentkeys_types::AgentName;
use serde::Serialize;

use crate::{context::Context, output::Output};

/// The ways in which an agent's programs get what it may have.
#[derive(Serialize)]
pub(super) struct Doors {
    run: String,
    aws: String,
    socket: PathBuf,
    mcp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
}

impl Doors {
    pub(super) fn of(context: &Context, name: &AgentName, agent: &Agent) -> Self {
        let (command, folder) = (context.command(), AgentFolder::beside(&context.socket(), name));
        let listens = context.settings.daemon.listen.is_some();
        Self {
            run: format!("{command} run --agent {name} -- COMMAND"),
            aws: format!("{command} aws credential-process --agent {name}"),
            socket: folder.socket(),
            mcp: format!("{command} mcp --agent {name}"),
            authorization_token_file: listens.then(|| folder.authorization_token()),
            token_file: agent.token_file.as_ref().map(|_| folder.token_file()),
        }
    }

    pub(super) fn print(&self, output: &Output) {
        output.line(format_args!("  run      {}", self.run));
        output.line(format_args!("  AWS      {}", self.aws));
        output.line(format_args!("  MCP      {}", self.mcp));
        output.line(format_args!("  socket   {}", self.socket.display()));
        if let Some(path) = &self.authorization_token_file {
            output.line(format_args!("  HTTP     by the token in {}", path.display()));
        }
        if let Some(path) = &self.token_file {
            output.line(format_args!("  JWT      {}", path.display()));
        }
    }
}
