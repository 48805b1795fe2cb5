use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use agentkeys_api::{Audience, DaemonToken};
use agentkeys_types::{AgentName, Timestamp};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use crate::{context::Context, error::CliError, failure::Failure, interruption, kept_token::KeptToken, output::Output};

/// The flags of `agentkeys token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Whom the JWT is for, as the other side calls itself
    #[arg(long, value_name = "AUDIENCE")]
    audience: Audience,

    /// The agent that it is for, which may have no more than a person gave it
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,

    /// How to print it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Keep it in this file instead, fresh until Ctrl-C
    #[arg(long, conflicts_with = "format", value_name = "PATH")]
    file: Option<PathBuf>,

    /// Write the file and end
    #[arg(long, requires = "file")]
    once: bool,
}

/// How a JWT is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The JWT and nothing else
    #[default]
    Jwt,
    /// One document that also says when it ends
    Json,
    /// As Google's libraries expect it of an executable, refusals included
    Google,
}

impl TokenArgs {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        if let Some(path) = &self.file {
            return interruption::or_termination(self.keep(&std::path::absolute(path)?, context, output)).await;
        }
        let answer = context.dispenser().token(&self.audience, self.agent.as_ref()).await;
        match self.format {
            Format::Google => output.document(&GoogleDocument::of(answer.map_err(CliError::from), context)),
            Format::Jwt if !output.is_json() => {
                let token = answer?;
                // Whoever reads it into a file must find no newline after it.
                let end: &[u8] = if io::stdout().is_terminal() { b"\n" } else { b"" };
                output.raw(token.jwt.expose().as_bytes());
                output.raw(end);
            }
            Format::Json | Format::Jwt => output.document(&answer?),
        }
        Ok(())
    }

    async fn keep(&self, path: &Path, context: &Context, output: &Output) -> Result<(), CliError> {
        let (mut kept, token) = KeptToken::write(path, self.audience.clone(), self.agent.clone(), context).await?;
        output.result(&json!({"file": path, "expires_at": token.expires_at}), |output| output.line(path.display()));
        if self.once {
            kept.leave();
            return Ok(());
        }
        output.note("The file is kept fresh until Ctrl-C.");
        match kept.keep_fresh().await {}
    }
}

/// What an executable tells Google's libraries (AIP-4117). They read it only of one that ends with 0, and that writes
/// nothing to stderr.
#[derive(Serialize)]
#[serde(untagged)]
enum GoogleDocument {
    Token { version: u8, success: bool, token_type: &'static str, id_token: String, expiration_time: i64 },
    Refusal { version: u8, success: bool, code: String, message: String },
}

impl GoogleDocument {
    fn of(answer: Result<DaemonToken, CliError>, context: &Context) -> Self {
        match answer {
            Ok(token) => Self::token(token.jwt.expose(), token.expires_at),
            Err(error) => {
                let Failure { message, hint, .. } = Failure::of(&error, Some(context));
                let message = hint.map_or_else(|| message.clone(), |hint| format!("{message} ({hint})"));
                Self::Refusal { version: 1, success: false, code: error.code().to_owned(), message }
            }
        }
    }

    fn token(jwt: &str, expires_at: Timestamp) -> Self {
        Self::Token {
            version: 1,
            success: true,
            token_type: "urn:ietf:params:oauth:token-type:jwt",
            id_token: jwt.to_owned(),
            expiration_time: expires_at.as_unix(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_are_exactly_what_googles_libraries_expect() {
        let token = GoogleDocument::token("a.b.c", Timestamp::from_unix(1_764_000_000));
        let refusal = GoogleDocument::Refusal {
            version: 1,
            success: false,
            code: "not_signed_in".to_owned(),
            message: "nobody is signed in (agentkeys init)".to_owned(),
        };

        assert_eq!(
            serde_json::to_string(&token).unwrap(),
            r#"{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:jwt","id_token":"a.b.c","expiration_time":1764000000}"#
        );
        assert_eq!(
            serde_json::to_string(&refusal).unwrap(),
            r#"{"version":1,"success":false,"code":"not_signed_in","message":"nobody is signed in (agentkeys init)"}"#
        );
    }
}
