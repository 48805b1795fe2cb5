use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::{
    aws_config::{self, AwsProfileName, NotOurs, Section},
    commands::code::confirm,
    context::Context,
    dispensary::RoleArgs,
    edits,
    error::CliError,
    output::Output,
    text_file::TextFile,
};

/// The flags of `agentkeys aws configure`.
#[derive(Debug, Args)]
pub(crate) struct ConfigureArgs {
    #[command(flatten)]
    role: RoleArgs,

    /// What AWS programs call the profile; agentkeys, with the names of role and agent, unless given
    #[arg(long, value_name = "NAME")]
    aws_profile: Option<AwsProfileName>,

    /// The AWS configuration file; ~/.aws/config unless given
    #[arg(long, env = "AWS_CONFIG_FILE", hide_env_values = true, value_name = "PATH")]
    aws_config_file: Option<PathBuf>,

    /// Do not ask whether that is meant
    #[arg(long, short)]
    yes: bool,

    /// Replace a profile of that name that somebody else wrote; it is not brought back by `--undo`
    #[arg(long, conflicts_with = "undo")]
    force: bool,

    /// Remove what this command wrote
    #[arg(long)]
    undo: bool,
}

impl ConfigureArgs {
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let profile = self.profile_name();
        let file = TextFile::open(&aws_config::path(self.aws_config_file.as_deref(), context.places.home())?)?;
        let section = Section::of(profile.clone());
        let not_ours = |_: NotOurs| CliError::NotOurs(format!("[{}] in {}", section.heading(), file.path().display()));
        let changed = if self.undo {
            section.removed_from(file.text()).map_err(not_ours)?
        } else {
            let settings = aws_config::settings(&self.role.details(context).await?, self.role.agent.as_ref(), context)?;
            Some(section.put_into(file.text(), &settings, self.force).map_err(not_ours)?)
        };
        let document = |is_changed: bool| json!({"file": file.path(), "aws_profile": profile, "changed": is_changed});
        if changed.as_deref() == file.text() {
            output.result(&document(false), |output| output.line("There is nothing to change."));
            return Ok(());
        }
        edits::print(output, file.path(), file.text(), changed.as_deref());
        if !self.is_meant(context, output).await? {
            output.result(&document(false), |output| output.line("Nothing was changed."));
            return Ok(());
        }
        file.replace(changed.as_deref())?;
        output.result(&document(true), |output| {
            let path = file.path().display();
            if self.undo {
                output.done(format_args!("The profile {profile} is no more in {path}"));
            } else {
                output.done(format_args!("The profile {profile} is in {path}"));
                output.line(format_args!("  Try it: aws --profile {profile} s3 ls"));
            }
        });
        Ok(())
    }

    async fn is_meant(&self, context: &Context, output: &Output) -> Result<bool, CliError> {
        if self.yes {
            return Ok(true);
        }
        confirm("Is that meant?", context.no_input, output).await
    }

    fn profile_name(&self) -> AwsProfileName {
        let named = || AwsProfileName::of(&self.role.role, self.role.agent.as_ref());
        self.aws_profile.clone().unwrap_or_else(named)
    }
}
