use std::path::{Path, PathBuf};

use agentkeys_api::{Audience, LinkStatus};
use agentkeys_client::{AgentFolder, Role};
use agentkeys_types::EvmAddress;
use clap::Args;
use serde_json::Value;

use super::{HelperArgs, Plan, Setup};
use crate::{
    commands::agent::check_role, context::Context, edits::Edit, error::CliError, output::Output, text_file::TextFile,
};

/// How a file of ours begins.
const MARK: &str = "# Written by `agentkeys setup docker`";

/// The flags of `agentkeys setup docker`.
#[derive(Debug, Args)]
pub(crate) struct DockerArgs {
    #[command(flatten)]
    helper: HelperArgs,

    /// The service of your Compose file that gets the JWT
    #[arg(long, default_value = "agent", value_name = "NAME", value_parser = service)]
    service: String,

    /// The Compose file to write
    #[arg(long, default_value = "compose.agentkeys.yaml", value_name = "PATH")]
    file: PathBuf,
}

fn service(text: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = !text.is_empty() && text.bytes().all(allowed);
    is_name.then(|| text.to_owned()).ok_or("a service is named with letters, digits and ._-")
}

impl DockerArgs {
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let setup = Setup::new("docker", &self.helper, context, output)?;
        let path = std::path::absolute(&self.file)?;
        if self.helper.undo {
            return setup.undo(Some(path)).await;
        }
        if TextFile::open(&path)?.text().is_some_and(|text| !text.starts_with(MARK)) {
            let message = format!("`{}` was not written by this command: `--file` writes another one", path.display());
            return Err(CliError::Usage(message));
        }
        let role_name = setup.roles().into_iter().next().unwrap_or_default();
        check_role(context, &role_name)?;
        let no_role = || CliError::NoRole { config: context.places.config_file() };
        let role = context.settings.aws.role(&role_name).ok_or_else(no_role)?;
        let text = self.compose(&setup, &role, wallet(context).await?);
        let next = format!("docker compose -f compose.yaml -f {} up", self.file.display());
        let plan = Plan { files: vec![(path, vec![Edit::Whole { text }])], next: vec![next] };
        setup.write(plan, Some(Audience::aws_sts())).await
    }

    fn compose(&self, setup: &Setup<'_>, role: &Role, wallet: EvmAddress) -> String {
        let token_file = AgentFolder::beside(&setup.context.socket(), &setup.agent).token_file();
        let agent = &setup.agent;
        let mut environment = vec![
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/agentkeys/web-identity-token".to_owned()),
            ("AWS_ROLE_ARN", role.role_arn.to_string()),
            ("AWS_ROLE_SESSION_NAME", role.session_name.fill(wallet, Some(agent))),
            ("AWS_REGION", role.region.to_string()),
            // The AWS SDK for Python knows only this name.
            ("AWS_DEFAULT_REGION", role.region.to_string()),
        ];
        environment.extend(role.endpoint_url.as_ref().map(|url| ("AWS_ENDPOINT_URL", url.to_string())));
        let environment = environment.iter().map(|(name, value)| format!("      {name}: {}\n", quoted(value)));
        let folder = token_file.parent().unwrap_or(Path::new("/")).display().to_string();
        format!(
            "{MARK} for agent {agent}: its JWT, and nothing else of this machine.\n\
             # The user is the one whom the file belongs to: nobody else can read it.\n\
             services:\n  {service}:\n    user: \"{uid}:{gid}\"\n    environment:\n{environment}    volumes:\n      \
             - type: bind\n        source: {folder}\n        target: /run/agentkeys\n        read_only: true\n        \
             bind:\n          create_host_path: false\n",
            service = self.service,
            uid = rustix::process::getuid().as_raw(),
            gid = rustix::process::getgid().as_raw(),
            environment = environment.collect::<String>(),
            folder = quoted(&folder),
        )
    }
}

/// As a value of a Compose file, in which a dollar sign is no variable.
fn quoted(text: &str) -> String {
    Value::from(text.replace('$', "$$")).to_string()
}

/// The wallet, after which AWS's logs may call the session.
async fn wallet(context: &Context) -> Result<EvmAddress, CliError> {
    let session = context.session().await?;
    let links = context.broker().wallets(&session).await?.links;
    let proved = links.into_iter().find(|link| link.status == LinkStatus::Proved);
    let none = || CliError::Usage(format!("no wallet is proved yet: `{} init` does that", context.command()));
    Ok(proved.ok_or_else(none)?.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_as_it_is() {
        assert_eq!(quoted("a: \"$b\""), r#""a: \"$$b\"""#);
    }

    #[test]
    fn a_service_cannot_be_more_than_a_name() {
        assert!(service("web-1").is_ok());
        for text in ["", "a:", "a\n  b", "a b"] {
            assert!(service(text).is_err(), "{text}");
        }
    }
}
