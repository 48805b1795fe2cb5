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
    /// For the mail to `email`, which a person is asked for where it is not given.
    ///
    /// # Errors
    ///
    /// When a person would have to be asked, and may not be.
    pub(super) async fn new(email: Option<EmailAddress>, no_input: bool, output: &'o Output) -> Result<Self, CliError> {
        let is_terminal = io::stdin().is_terminal();
        if is_terminal && no_input {
            return Err(CliError::NoTerminal);
        }
        let email = match email {
            Some(email) => email,
            None if is_terminal => {
                output.prompt("  E-mail:");
                let line = read_line().await.ok_or(ClientError::NoCode)?;
                line.trim().parse().map_err(|error: agentkeys_types::Invalid| CliError::Usage(error.to_string()))?
            }
            None => return Err(CliError::Usage("who is to sign in? `--email` names an address".to_owned())),
        };
        Ok(Self { email, is_terminal, output })
    }

    /// Whose mail it is.
    pub(super) fn email(&self) -> &EmailAddress {
        &self.email
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
