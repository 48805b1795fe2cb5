use std::path::PathBuf;

use clap::Args;

use super::Setup;
use crate::{
    aws_config::{self, AwsProfileName},
    commands::agent::check_role,
    edits::Edit,
    error::CliError,
};

/// Where AWS programs have their profiles.
#[derive(Debug, Args)]
pub(super) struct AwsFileArgs {
    /// The configuration file of AWS programs, if it is another than usual
    #[arg(long, env = "AWS_CONFIG_FILE", hide = true, value_name = "PATH")]
    aws_config_file: Option<PathBuf>,
}

impl AwsFileArgs {
    /// A profile for each of the agent's roles, and the name of the first.
    pub(super) fn plan(&self, setup: &Setup<'_>) -> Result<(String, (PathBuf, Vec<Edit>)), CliError> {
        let (context, agent) = (setup.context, Some(&setup.agent));
        let path = aws_config::path(self.aws_config_file.as_deref(), context.places.home())?;
        let roles = setup.roles();
        let first = AwsProfileName::of(&roles.first().cloned().unwrap_or_default(), agent);
        let mut edits = Vec::new();
        for name in &roles {
            check_role(context, name)?;
            let no_role = || CliError::no_role(name, context.places.config_file());
            let role = context.settings.aws.role(name).ok_or_else(no_role)?;
            let (profile, settings) = (AwsProfileName::of(name, agent), aws_config::settings(&role, agent, context)?);
            edits.push(Edit::AwsProfile { profile, settings });
        }
        Ok((first.to_string(), (path, edits)))
    }
}
