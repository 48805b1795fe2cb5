use std::time::Duration;

use agentkeys_client::{ClientError, Exit};
use serde::Serialize;

use crate::{context::Context, duration, error::CliError, failure::Failure, output::Output};

/// What one check found.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    name: &'static str,
    status: Status,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    exit: u8,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// It works, and a person should know something about it.
    Warning,
    /// It does not work, or must not stay as it is.
    Failure,
    /// Nothing to look at, or no way to look.
    Skipped,
}

impl Finding {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, message, None, Exit::Ok.code())
    }

    pub(super) fn warning(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(name, Status::Warning, message, Some(hint.into()), Exit::Ok.code())
    }

    pub(super) fn failure(name: &'static str, exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(name, Status::Failure, message, Some(hint.into()), exit.code())
    }

    pub(super) fn skipped(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Skipped, message, None, Exit::Ok.code())
    }

    /// A failure, in the words that every command has for it.
    pub(super) fn of_error(name: &'static str, error: impl Into<CliError>, context: &Context) -> Self {
        let Failure { exit, message, hint, .. } = Failure::of(&error.into(), Some(context));
        let hint = hint.unwrap_or_else(|| "run it again with `-v`, which says more".to_owned());
        Self::new(name, Status::Failure, message, Some(hint), exit)
    }

    /// As [`Finding::of_error`], except that an unreachable server is another check's failure.
    pub(super) fn of_server_error(name: &'static str, error: ClientError, context: &Context) -> Self {
        match error {
            ClientError::Unreachable { .. } => Self::skipped(name, "no broker answered"),
            error => Self::of_error(name, error, context),
        }
    }

    pub(super) fn timed_out(name: &'static str, limit: Duration) -> Self {
        let message = format!("no result within {}", duration::display(limit));
        Self::failure(name, Exit::Unreachable, message, "try again; `-v` says what it waits for")
    }

    fn new(name: &'static str, status: Status, message: impl Into<String>, hint: Option<String>, exit: u8) -> Self {
        Self { name, status, message: message.into(), hint, exit }
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// The code to exit with, if this is the first failure.
    pub(super) fn exit(&self) -> u8 {
        self.exit
    }

    /// One line for a person, and one more that mends it.
    pub(super) fn print(&self, output: &Output) {
        let mark = match self.status {
            Status::Ok => '✓',
            Status::Warning => '!',
            Status::Failure => '✗',
            Status::Skipped => '-',
        };
        output.line(format_args!("{mark} {:<10} {}", self.name, self.message));
        if let Some(hint) = &self.hint {
            output.line(format_args!("  {:<10} hint: {hint}", ""));
        }
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.message, self.hint.as_deref().unwrap_or_default())
    }
}
