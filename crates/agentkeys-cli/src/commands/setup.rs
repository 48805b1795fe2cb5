//! `agentkeys setup`: has other programs' settings lead to an agent, and takes exactly that back.

mod aws_profile;
mod claude;
mod codex;
mod docker;

use std::{collections::BTreeSet, path::PathBuf};

use agentkeys_client::Agent;
use agentkeys_types::{AgentName, RoleName};
use clap::{Args, Subcommand};
use serde::Serialize;

use self::{claude::ClaudeArgs, codex::CodexArgs, docker::DockerArgs};
use super::{
    agent::{self, TokenFile, Wish},
    code::confirm,
};
use crate::{
    context::Context,
    edits::{Edit, Edited, Record},
    error::CliError,
    output::Output,
};

/// Whose settings are written.
#[derive(Debug, Subcommand)]
pub(crate) enum SetupCommand {
    /// Claude Code: the MCP server, and an AWS profile for what it runs
    Claude(ClaudeArgs),
    /// Codex: the MCP server, and an AWS profile for what it runs
    Codex(CodexArgs),
    /// A container: a Compose file that gives a service the agent's JWT, by which AWS SDKs get credentials
    ///
    /// The service gets the folder of that file alone, read-only. Mount the agent's socket only where a program in the
    /// container is to have every role of the agent, and is to be able to ask you for more. The file is readable for
    /// nobody but you, so the service runs as your user.
    Docker(DockerArgs),
}

/// What every helper's set-up takes.
#[derive(Debug, Args)]
struct HelperArgs {
    /// The agent that it acts as; made where there is none; named after the helper unless given
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,

    /// A role of the settings that the agent may have; more by further flags
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<RoleName>,

    /// Do not ask whether the change is meant
    #[arg(long, short)]
    yes: bool,

    /// Take back what was written; the agent stays
    #[arg(long)]
    undo: bool,
}

/// A helper whose settings are about to be written.
struct Setup<'a> {
    helper: &'static str,
    args: &'a HelperArgs,
    context: &'a Context,
    output: &'a Output,
    agent: AgentName,
    /// What the agent has already.
    before: Option<Agent>,
}

/// What is to be in which files, and what to do then.
#[derive(Default)]
struct Plan {
    files: Vec<(PathBuf, Vec<Edit>)>,
    next: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    helper: &'static str,
    agent: &'a AgentName,
    changed: Vec<PathBuf>,
    undone: bool,
}

impl SetupCommand {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        match self {
            Self::Claude(args) => args.run(context, output).await,
            Self::Codex(args) => args.run(context, output).await,
            Self::Docker(args) => args.run(context, output).await,
        }
    }
}

impl<'a> Setup<'a> {
    fn new(
        helper: &'static str,
        args: &'a HelperArgs,
        context: &'a Context,
        output: &'a Output,
    ) -> Result<Self, CliError> {
        let named = || helper.parse().map_err(|error| CliError::Usage(format!("{error}")));
        let agent = args.agent.clone().map_or_else(named, Ok)?;
        let before = agent::read(context)?.agents.remove(&agent);
        Ok(Self { helper, args, context, output, agent, before })
    }

    /// The roles that the agent will have, the one that it has unless it asks for another first.
    fn roles(&self) -> Vec<RoleName> {
        let asked: BTreeSet<RoleName> = self.args.roles.iter().cloned().collect();
        let roles = match &self.before {
            _ if !asked.is_empty() => asked,
            Some(before) => before.roles.clone(),
            None => BTreeSet::from([RoleName::default()]),
        };
        let (mut first, others): (Vec<_>, Vec<_>) = roles.into_iter().partition(RoleName::is_default);
        first.extend(others);
        first
    }

    /// What leads to `agentkeys mcp` for the agent: the program and its arguments.
    fn mcp(&self) -> Result<(String, Vec<String>), CliError> {
        let program = std::env::current_exe()?;
        let mut arguments = Vec::new();
        if !self.context.profile.is_default() {
            arguments.extend(["--profile".to_owned(), self.context.profile.to_string()]);
        }
        arguments.extend(["mcp".to_owned(), "--agent".to_owned(), self.agent.to_string()]);
        Ok((program.display().to_string(), arguments))
    }

    fn record(&self) -> PathBuf {
        let name = format!("{}-{}.json", self.context.profile, self.helper);
        self.context.places.state().join("setup").join(name)
    }

    /// Shows the plan, asks, makes the agent, and writes; what was written before by another plan goes.
    async fn write(self, plan: Plan, token_file: Option<agentkeys_api::Audience>) -> Result<(), CliError> {
        let record = Record::open(&self.record())?;
        let mut edited = Vec::new();
        for (path, edits) in &plan.files {
            edited.push(record.plan(path, edits)?);
        }
        if !self.is_meant(&edited).await? {
            return Ok(());
        }
        let is_missing = |before: &Agent| token_file.is_some() && before.token_file != token_file;
        if !self.args.roles.is_empty() || self.before.as_ref().is_none_or(is_missing) {
            let wish = Wish {
                name: self.agent.clone(),
                roles: self.args.roles.iter().cloned().collect(),
                audiences: BTreeSet::new(),
                expires: None,
                token_file: token_file.map_or(TokenFile::Unchanged, TokenFile::For),
            };
            let put = wish.fulfil(self.context, self.output).await?;
            put.print(&self.agent, self.output);
        }
        self.apply(record, &edited)?;
        let Self { context, output, .. } = self;
        if context.daemon().status().await.is_err() {
            output.note(format_args!("Next: the daemon must run: {} daemon install", context.command()));
        }
        for line in plan.next {
            output.note(format_args!("Next: {line}"));
        }
        Ok(())
    }

    /// Takes back what was written to `only`, or to all files.
    async fn undo(self, only: Option<PathBuf>) -> Result<(), CliError> {
        let record = Record::open(&self.record())?;
        let files = record.files().into_iter().filter(|path| only.as_ref().is_none_or(|only| only == path));
        let edited = files.map(|path| record.plan_undo(&path)).collect::<Result<Vec<_>, _>>()?;
        for edited in edited.iter().filter(|edited| edited.is_left()) {
            let path = edited.path().display();
            self.output.note(format_args!("{path}: somebody has changed what was written there, so that it stays"));
        }
        if !self.is_meant(&edited).await? {
            return Ok(());
        }
        self.apply(record, &edited)?;
        let (command, agent) = (self.context.command(), &self.agent);
        self.output.note(format_args!("The agent is as it was; to end it: {command} agent revoke {agent}"));
        Ok(())
    }

    async fn is_meant(&self, edited: &[Edited]) -> Result<bool, CliError> {
        let changes: Vec<_> = edited.iter().filter(|edited| edited.changes()).collect();
        for edited in &changes {
            edited.show(self.output);
        }
        if self.args.yes || changes.is_empty() {
            return Ok(true);
        }
        let is_meant = confirm("Write that?", self.context.no_input, self.output).await?;
        if !is_meant {
            self.tell(Vec::new());
        }
        Ok(is_meant)
    }

    fn apply(&self, mut record: Record, edited: &[Edited]) -> Result<(), CliError> {
        // First, so that it can be taken back whatever happens next.
        if !self.args.undo {
            record.keep(edited, &self.record())?;
        }
        edited.iter().try_for_each(Edited::write)?;
        if self.args.undo {
            record.keep(edited, &self.record())?;
        }
        let changed = edited.iter().filter(|edited| edited.changes());
        self.tell(changed.map(|edited| edited.path().to_owned()).collect());
        Ok(())
    }

    fn tell(&self, changed: Vec<PathBuf>) {
        let document = Document { helper: self.helper, agent: &self.agent, changed, undone: self.args.undo };
        self.output.result(&document, |output| {
            for path in &document.changed {
                output.done(format_args!(
                    "{} {}",
                    path.display(),
                    if document.undone { "is as it was" } else { "is written" }
                ));
            }
            if document.changed.is_empty() {
                output.line("Nothing was changed.");
            }
        });
    }
}
