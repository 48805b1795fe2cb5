use agentkeys_api::AccessKind;
use agentkeys_client::AgentRequest;
use agentkeys_types::{AgentName, Timestamp};
use serde::Serialize;

use super::shown;
use crate::{context::Context, error::CliError, output::Output};

#[derive(Serialize)]
struct Document {
    requests: Vec<Asked>,
}

/// What an agent asks for, in words that can be shown.
#[derive(Serialize)]
pub(super) struct Asked {
    id: String,
    agent: AgentName,
    at: Timestamp,
    kind: AccessKind,
    name: String,
    reason: String,
}

/// `agentkeys agent requests`
pub(super) fn run(context: &Context, output: &Output) -> Result<(), CliError> {
    let requests: Vec<Asked> = super::read(context)?.requests.iter().map(Asked::of).collect();
    let document = Document { requests };
    output.result(&document, |output| {
        if document.requests.is_empty() {
            output.line("No agent has asked for anything.");
        }
        document.requests.iter().for_each(|request| request.print(output));
    });
    Ok(())
}

impl Asked {
    pub(super) fn of(request: &AgentRequest) -> Self {
        Self {
            id: shown(&request.id),
            agent: request.agent.clone(),
            at: request.at,
            kind: request.kind,
            name: shown(&request.name),
            reason: shown(&request.reason),
        }
    }

    pub(super) fn print(&self, output: &Output) {
        output.line(format_args!("{}  {}  asks for {}", self.id, self.at, self.what()));
        output.line(format_args!("    it says: {}", self.reason));
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// Who asks for what, for a person.
    pub(super) fn what(&self) -> String {
        let kind = match self.kind {
            AccessKind::Audience => "JWTs for",
            AccessKind::Role => "the role",
        };
        format!("{kind} `{}`, for agent {}", self.name, self.agent)
    }
}
