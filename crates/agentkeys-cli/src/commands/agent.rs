//! `agentkeys agent`: what a person lets which program have.

mod answer;
mod create;
mod doors;
mod list;
mod requests;
mod revoke;
mod show;

use std::{io, time::Duration};

use agentkeys_api::DaemonStatus;
use agentkeys_client::{AgentPages, ClientError};
use agentkeys_types::{Timestamp, is_invisible};
use clap::Subcommand;

pub(crate) use self::create::{TokenFile, Wish, check_role};
use self::{answer::AnswerArgs, create::CreateArgs, revoke::RevokeArgs, show::ShowArgs};
use crate::{context::Context, duration, error::CliError, output::Output};

/// For how long an answer of the daemon is waited for: what has to be done does not wait for one that is stuck.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(5);

/// What can be done with the account's agents.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Give an agent a name, and say what it may have; for one that exists, what it may have from now on
    Create(CreateArgs),
    /// List them, with what they may have and what this machine lacks for it
    List,
    /// Show one of them, and where its programs find what it may have
    Show(ShowArgs),
    /// Cut one off: here at once, and then at the broker
    Revoke(RevokeArgs),
    /// List what agents have asked for
    Requests,
    /// Give an agent what it has asked for
    Approve(AnswerArgs),
    /// Give an agent nothing of what it has asked for
    Deny {
        /// The request, as `requests` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
}

impl AgentCommand {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        match self {
            Self::Create(args) => args.run(context, output).await,
            Self::List => list::run(context, output).await,
            Self::Show(args) => args.run(context, output).await,
            Self::Revoke(args) => args.run(context, output).await,
            Self::Requests => requests::run(context, output),
            Self::Approve(args) => args.approve(context, output).await,
            Self::Deny { id } => answer::deny(id, context, output),
        }
    }
}

/// What the book says.
pub(super) fn read(context: &Context) -> Result<AgentPages, CliError> {
    context.agents().read().map_err(|error| unusable(context, error))
}

/// Changes the book.
fn change<T>(context: &Context, change: impl FnOnce(&mut AgentPages) -> T) -> Result<T, CliError> {
    context.agents().change(change).map_err(|error| unusable(context, error))
}

fn unusable(context: &Context, source: io::Error) -> CliError {
    let path = context.agents().path().display().to_string();
    CliError::File { context: format!("the agents in `{path}` cannot be used"), source }
}

/// Has the daemon follow the book, if one runs.
async fn reload(context: &Context) -> Result<Option<DaemonStatus>, ClientError> {
    if_one_runs(answer_of(context, context.daemon().reload()).await)
}

/// How the daemon is doing, if one runs.
async fn daemon_status(context: &Context) -> Result<Option<DaemonStatus>, ClientError> {
    if_one_runs(answer_of(context, context.daemon().status()).await)
}

fn if_one_runs(answer: Result<DaemonStatus, ClientError>) -> Result<Option<DaemonStatus>, ClientError> {
    match answer {
        Ok(status) => Ok(Some(status)),
        Err(ClientError::NoDaemon { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the daemon answers in time: it may be stopped, or stuck.
async fn answer_of<T>(context: &Context, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    let late = |_| ClientError::UnexpectedAnswer {
        url: context.socket().display().to_string(),
        reason: "it did not come in time",
    };
    tokio::time::timeout(DAEMON_TIMEOUT, call).await.map_err(late)?
}

/// The same, where more than a word would be too much when it does not follow.
async fn reload_or_tell(context: &Context, output: &Output) {
    if let Err(error) = reload(context).await {
        output.note(format_args!("The daemon that runs does not know of it yet ({error}): start it anew."));
    }
}

/// What an agent says, without whatever could move a cursor, hide, or turn its neighbours around.
pub(super) fn shown(text: &str) -> String {
    let visible = text.chars().filter(|character| !is_invisible(*character));
    visible.map(|character| if character.is_whitespace() { ' ' } else { character }).take(500).collect()
}

/// When something ends, for a person.
fn end(expires_at: Option<Timestamp>, now: Timestamp) -> String {
    match expires_at {
        None => "never".to_owned(),
        Some(end) if now >= end => format!("over since {end}"),
        Some(end) => format!("{end} ({} left)", duration::display(end.since(now))),
    }
}

fn joined<T: ToString>(parts: impl IntoIterator<Item = T>) -> String {
    let parts: Vec<String> = parts.into_iter().map(|part| part.to_string()).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_says_moves_no_cursor_and_hides_nothing() {
        assert_eq!(shown("deploy\u{1b}[2J\n the \u{202e}site\u{200b}"), "deploy[2J  the site");
        assert_eq!(shown(&"a".repeat(600)).len(), 500);
    }

    #[test]
    fn an_end_is_told_with_the_time_that_is_left() {
        let now: Timestamp = "2026-12-22T10:00:00Z".parse().unwrap();

        assert_eq!(end(None, now), "never");
        assert_eq!(end(Some(now), now), "over since 2026-12-22T10:00:00Z");
        assert_eq!(end(Some("2026-12-23T11:00:00Z".parse().unwrap()), now), "2026-12-23T11:00:00Z (1d 1h left)");
    }
}
