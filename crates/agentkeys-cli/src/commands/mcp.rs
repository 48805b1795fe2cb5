use std::{path::PathBuf, sync::Arc};

use agentkeys_client::{DaemonClient, Places, ProfileName};
use agentkeys_mcp::{AgentTools, Commands};
use agentkeys_types::{AgentName, SystemClock};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::{cli::GlobalArgs, error::CliError};

/// The flags of `agentkeys mcp`.
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// The agent whose tools they are; none where the socket is its own
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,

    /// Ask the daemon here: at the agent's own socket, or with `--agent` at the person's
    #[arg(long, env = "AGENTKEYS_SOCKET", hide_env_values = true, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl McpArgs {
    /// Serves one client on standard input and output, which have nothing but the protocol.
    pub(crate) async fn run(self, global: &GlobalArgs) -> Result<(), CliError> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tracing::info!(agent = self.agent.as_ref().map(AgentName::as_str), "the tools are served");
        tokio::select! {
            served = agentkeys_mcp::serve_stdio(self.tools(&global.profile)) => Ok(served?),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    }

    fn tools(self, profile: &ProfileName) -> AgentTools {
        let daemon = match (self.socket, &self.agent) {
            (Some(socket), None) => DaemonClient::of_agent(socket),
            (Some(socket), Some(_)) => DaemonClient::new(socket, profile.clone()),
            (None, _) => DaemonClient::new(Places::from_environment().socket(profile), profile.clone()),
        };
        let tools = AgentTools::new(Arc::new(daemon), Arc::new(SystemClock)).with_commands(commands(profile));
        match self.agent {
            Some(agent) => tools.for_agent(agent),
            None => tools,
        }
    }
}

/// What a person types for this profile.
fn commands(profile: &ProfileName) -> Commands {
    if profile.is_default() {
        return Commands::default();
    }
    let agentkeys = format!("agentkeys --profile {profile}");
    match profile.as_str() {
        // It signs in by itself, and has its daemon in it.
        "dev" => Commands { agentkeys, daemon: "agentkeys dev".to_owned(), sign_in: "agentkeys dev".to_owned() },
        _ => Commands { daemon: format!("{agentkeys} daemon run"), sign_in: format!("{agentkeys} init"), agentkeys },
    }
}
