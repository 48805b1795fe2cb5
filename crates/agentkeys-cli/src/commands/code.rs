use std::{
    io::{self, BufRead, IsTerminal},
    time::Duration,
};

use agentkeys_api::EmailStarted;
use agentkeys_client::{ClientError, CodePrompt};
use agentkeys_types::EmailAddress;
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{error::CliError, output::Output};

/// Has the code of a mail typed in, or read from whatever stdin is connected to.
pub(super) struct Prompt<'o> {
    email: EmailAddress,
    is_terminal: bool,
    output: &'o Output,
}

impl<'o> Prompt<'o> {
    /// For the mail to `email`.
    ///
    /// # Errors
    ///
    /// When a person would have to be asked, and may not be.
    pub(super) fn new(email: EmailAddress, no_input: bool, output: &'o Output) -> Result<Self, CliError> {
        let is_terminal = io::stdin().is_terminal();
        if is_terminal && no_input {
            return Err(CliError::NoTerminal);
        }
        Ok(Self { email, is_terminal, output })
    }
}

#[async_trait]
impl CodePrompt for Prompt<'_> {
    async fn code(&mut self, started: &EmailStarted, attempt: u32) -> Result<String, ClientError> {
        if attempt == 1 {
            self.output.note(format_args!(
                "  A code was sent to {}. It works for {} minutes, in this terminal only.",
                self.email,
                started.expires_in / 60
            ));
        } else {
            self.output.note("  That was not the code.");
        }
        if self.is_terminal {
            self.output.prompt("  Code:");
        }
        let line = tokio::time::timeout(Duration::from_secs(started.expires_in), read_line());
        let line = line.await.ok().flatten().ok_or(ClientError::NoCode)?;
        let code = line.trim();
        if code.is_empty() { Err(ClientError::NoCode) } else { Ok(code.to_owned()) }
    }
}

/// Whether a person at this terminal agrees.
///
/// # Errors
///
/// Where nobody can be asked.
pub(super) async fn confirm(question: &str, no_input: bool, output: &Output) -> Result<bool, CliError> {
    if no_input || !io::stdin().is_terminal() {
        return Err(CliError::Usage("whether that is meant cannot be asked here: `--yes` says so".to_owned()));
    }
    output.prompt(&format!("{question} [y/N]"));
    let answer = read_line().await.unwrap_or_default();
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// On a thread of its own: a runtime would wait at its end for a person who has gone away.
async fn read_line() -> Option<String> {
    let (typed, line) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        if io::stdin().lock().read_line(&mut text).is_ok_and(|length| length > 0) {
            let _ = typed.send(text);
        }
    });
    line.await.ok()
}
