use std::path::{Path, PathBuf};

use agentkeys_types::{AgentName, RoleName};
use clap::Args;

use super::Setup;
use crate::{commands::agent::check_role, context::Context, edits::Edit, error::CliError};

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
        let (context, agent) = (setup.context, &setup.agent);
        let path = self.aws_config_file.clone().unwrap_or_else(|| context.places.home().join(".aws/config"));
        let program = std::env::current_exe()?;
        let mut edits = Vec::new();
        for (index, role) in setup.roles().iter().enumerate() {
            check_role(context, role)?;
            let profile = if index == 0 { first(agent) } else { format!("agentkeys-{role}-{agent}") };
            edits.push(Edit::AwsProfile { profile, settings: settings(&program, context, agent, role) });
        }
        Ok((first(agent), (path, edits)))
    }
}

fn first(agent: &AgentName) -> String {
    format!("agentkeys-{agent}")
}

fn settings(program: &Path, context: &Context, agent: &AgentName, role: &RoleName) -> Vec<(String, String)> {
    let mut command = word(&program.display().to_string());
    if !context.profile.is_default() {
        command = format!("{command} --profile {}", context.profile);
    }
    command = format!("{command} aws credential-process --agent {agent}");
    if !role.is_default() {
        command = format!("{command} --role {role}");
    }
    let mut settings = vec![("credential_process".to_owned(), command)];
    if let Some(role) = context.settings.aws.role(role) {
        settings.push(("region".to_owned(), role.region.to_string()));
        settings.extend(role.endpoint_url.map(|url| ("endpoint_url".to_owned(), url.to_string())));
    }
    settings
}

/// A path as one word of the command, which AWS programs split as a shell does.
fn word(path: &str) -> String {
    let is_plain = path.chars().all(|character| character.is_ascii_alphanumeric() || "/._-+@:,".contains(character));
    if is_plain { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        assert_eq!(word("/usr/bin/agentkeys"), "/usr/bin/agentkeys");
        assert_eq!(word("/home/$a'b c/agentkeys"), r"'/home/$a'\''b c/agentkeys'");
    }
}
