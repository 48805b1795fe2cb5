use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{HelperArgs, Plan, Setup, aws_profile::AwsFileArgs};
use crate::{context::Context, edits::Edit, error::CliError, output::Output};

/// The flags of `agentkeys setup claude`.
#[derive(Debug, Args)]
pub(crate) struct ClaudeArgs {
    #[command(flatten)]
    helper: HelperArgs,

    #[command(flatten)]
    aws: AwsFileArgs,

    /// The folder of Claude Code's settings, if it is another than usual
    #[arg(long, env = "CLAUDE_CONFIG_DIR", hide = true, value_name = "PATH")]
    claude_config_dir: Option<PathBuf>,
}

impl ClaudeArgs {
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let setup = Setup::new("claude", &self.helper, context, output)?;
        if self.helper.undo {
            return setup.undo(None).await;
        }
        let plan = self.plan(&setup)?;
        setup.write(plan, None).await
    }

    fn plan(&self, setup: &Setup<'_>) -> Result<Plan, CliError> {
        let places = &setup.context.places;
        let home = places.home();
        let (servers, settings) = match &self.claude_config_dir {
            Some(folder) => (folder.join(".claude.json"), folder.join("settings.json")),
            None => (home.join(".claude.json"), home.join(".claude/settings.json")),
        };
        let (command, args) = setup.mcp()?;
        let server = json!({"type": "stdio", "command": command, "args": args});
        let (profile, aws) = self.aws.plan(setup)?;
        let state = pattern(places.state(), home);
        let edits = vec![
            member(&["env", "AWS_PROFILE"], json!(profile)),
            // What signs in, and what says what it may have, is none of its business.
            denied(format!("Edit({state})")),
            denied(format!("Read({state})")),
        ];
        Ok(Plan {
            files: vec![(servers, vec![member(&["mcpServers", "agentkeys"], server)]), (settings, edits), aws],
            next: vec!["start Claude Code anew; `/mcp` shows the server".to_owned()],
        })
    }
}

fn member(path: &[&str], value: serde_json::Value) -> Edit {
    Edit::JsonMember { path: path.iter().map(|&key| key.to_owned()).collect(), value }
}

fn denied(item: String) -> Edit {
    Edit::JsonItem { path: vec!["permissions".to_owned(), "deny".to_owned()], item }
}

/// A folder and all below it, as rules of Claude Code name it.
fn pattern(folder: &Path, home: &Path) -> String {
    match folder.strip_prefix(home) {
        Ok(below) => format!("~/{}/**", below.display()),
        // One slash alone would mean the folder of the settings.
        Err(_) => format!("/{}/**", folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_from_the_home_or_from_the_root() {
        let home = Path::new("/home/ada");

        assert_eq!(pattern(&home.join(".local/state/agentkeys"), home), "~/.local/state/agentkeys/**");
        assert_eq!(pattern(Path::new("/var/state/agentkeys"), home), "//var/state/agentkeys/**");
    }
}
