use std::path::PathBuf;

use clap::Args;
use toml_edit::{Array, Value};

use super::{HelperArgs, Plan, Setup, aws_profile::AwsFileArgs};
use crate::{context::Context, edits::Edit, error::CliError, output::Output};

/// The flags of `agentkeys setup codex`.
#[derive(Debug, Args)]
pub(crate) struct CodexArgs {
    #[command(flatten)]
    helper: HelperArgs,

    #[command(flatten)]
    aws: AwsFileArgs,

    /// The folder of Codex's settings, if it is another than usual
    #[arg(long, env = "CODEX_HOME", hide = true, value_name = "PATH")]
    codex_home: Option<PathBuf>,
}

impl CodexArgs {
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let setup = Setup::new("codex", &self.helper, context, output)?;
        if self.helper.undo {
            return setup.undo(None).await;
        }
        let plan = self.plan(&setup)?;
        setup.write(plan, None).await
    }

    fn plan(&self, setup: &Setup<'_>) -> Result<Plan, CliError> {
        let folder = self.codex_home.clone().unwrap_or_else(|| setup.context.places.home().join(".codex"));
        let (command, args) = setup.mcp()?;
        let (profile, aws) = self.aws.plan(setup)?;
        let edits = vec![
            value(&["mcp_servers", "agentkeys", "command"], &command.into()),
            value(&["mcp_servers", "agentkeys", "args"], &Value::Array(Array::from_iter(args))),
            value(&["shell_environment_policy", "set", "AWS_PROFILE"], &profile.into()),
        ];
        Ok(Plan {
            files: vec![(folder.join("config.toml"), edits), aws],
            next: vec!["start Codex anew; `/mcp` shows the server".to_owned()],
        })
    }
}

fn value(path: &[&str], value: &Value) -> Edit {
    Edit::TomlValue { path: path.iter().map(|&key| key.to_owned()).collect(), value: value.to_string() }
}
