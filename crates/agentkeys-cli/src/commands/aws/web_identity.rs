use std::path::{Path, PathBuf};

use agentkeys_api::{Audience, DaemonToken};
use agentkeys_client::Role;
use clap::Args;
use serde::Serialize;

use super::export::{quoted, region_and_endpoint};
use crate::{
    context::Context,
    dispensary::RoleArgs,
    error::CliError,
    interruption,
    kept_token::{KeptToken, socket_folder},
    output::Output,
};

/// The flags of `agentkeys aws web-identity`.
#[derive(Debug, Args)]
pub(crate) struct WebIdentityArgs {
    #[command(flatten)]
    role: RoleArgs,

    /// Where the file lies; beside the daemon's socket unless given
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,

    /// Write the file and end; it goes on being good for some minutes
    #[arg(long)]
    once: bool,
}

impl WebIdentityArgs {
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        interruption::or_termination(self.keep(context, output)).await
    }

    async fn keep(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let role = self.role.details(context).await?;
        let path = match &self.file {
            Some(path) => std::path::absolute(path)?,
            None => socket_folder(context)?.join(self.file_name()),
        };
        let (mut kept, token) = KeptToken::write(&path, Audience::aws_sts(), self.role.agent.clone(), context).await?;
        let variables = variables(&role, &path, &token);
        output.result(&Document::of(&role, &path, &token), |output| {
            for (name, value) in variables {
                output.line(format_args!("export {name}={}", quoted(&value)));
            }
        });
        if self.once {
            kept.leave();
            return Ok(());
        }
        output.note("The file is kept fresh until Ctrl-C.");
        match kept.keep_fresh().await {}
    }

    fn file_name(&self) -> String {
        match &self.role.agent {
            Some(agent) => format!("web-identity-of-{agent}.jwt"),
            None => "web-identity.jwt".to_owned(),
        }
    }
}

/// What a program needs in its environment to get credentials by the file.
pub(crate) fn variables(role: &Role, file: &Path, token: &DaemonToken) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.display().to_string()),
        ("AWS_ROLE_ARN", role.role_arn.to_string()),
        ("AWS_ROLE_SESSION_NAME", role.session_name.fill(token.wallet, token.agent.as_ref())),
    ];
    let endpoint = role.endpoint_url.as_ref().map(ToString::to_string);
    variables.extend(region_and_endpoint(role.region.as_str(), endpoint.as_deref()));
    variables
}

/// The same, as a program reads it.
#[derive(Serialize)]
struct Document<'a> {
    file: &'a Path,
    role_arn: &'a str,
    role_session_name: String,
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_url: Option<String>,
    expires_at: agentkeys_types::Timestamp,
}

impl<'a> Document<'a> {
    fn of(role: &'a Role, file: &'a Path, token: &DaemonToken) -> Self {
        Self {
            file,
            role_arn: role.role_arn.as_str(),
            role_session_name: role.session_name.fill(token.wallet, token.agent.as_ref()),
            region: role.region.as_str(),
            endpoint_url: role.endpoint_url.as_ref().map(ToString::to_string),
            expires_at: token.expires_at,
        }
    }
}
