use agentkeys_api::SessionView;
use agentkeys_types::SessionId;
use clap::Subcommand;

use crate::{context::Context, error::CliError, output::Output};

/// What can be done with the account's sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List them, the newest first; `*` marks this one
    List,
    /// End one of them
    Revoke {
        /// Its id, as `list` shows it
        #[arg(value_name = "ID")]
        session_id: SessionId,
    },
}

impl SessionsCommand {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        match self {
            Self::List => list(context, output).await,
            Self::Revoke { session_id } => revoke(context, output, *session_id).await,
        }
    }
}

async fn list(context: &Context, output: &Output) -> Result<(), CliError> {
    let own = context.session().await?;
    let list = context.broker().sessions(&own).await?;
    output.result(&list, |output| {
        for session in &list.sessions {
            let mark = if session.session_id == own.session_id { '*' } else { ' ' };
            let client = session.client_name.as_deref().unwrap_or("unnamed");
            output.line(format_args!(
                "{mark} {}  {client}  by {}  since {}  until {}",
                session.session_id, session.identity.value, session.created_at, session.expires_at
            ));
            output.line(format_args!("    {}", circumstances(session)));
        }
    });
    Ok(())
}

/// Where a session was opened, when it was used, and what its token is worth alone.
fn circumstances(session: &SessionView) -> String {
    let from = session.address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string());
    let used = session.last_used_at.map_or_else(|| "not noted yet".to_owned(), |time| time.to_string());
    let key = session.key_thumbprint.map_or_else(|| "none: a plain bearer".to_owned(), |key| key.to_string());
    format!("from {from}  last used {used}  device key {key}")
}

async fn revoke(context: &Context, output: &Output, session_id: SessionId) -> Result<(), CliError> {
    let own = context.session().await?;
    context.broker().revoke_session(&own, session_id).await?;
    output.result(&serde_json::json!({"revoked": session_id}), |output| {
        output.done(format_args!("Session {session_id} revoked"));
    });
    Ok(())
}
