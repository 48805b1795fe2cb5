mod file;
mod section;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use self::{
    file::AwsConfigFile,
    section::{AwsProfileName, NotOurs, Section},
};
use super::export::quoted;
use crate::{commands::code::confirm, context::Context, dispensary::RoleArgs, error::CliError, output::Output};

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
        let file = AwsConfigFile::open(&self.path()?)?;
        let section = Section::of(profile.clone());
        let not_ours = |_: NotOurs| CliError::NotOurs(format!("[{}] in {}", section.heading(), file.path().display()));
        let changed = if self.undo {
            section.removed_from(file.text()).map_err(not_ours)?
        } else {
            let settings = self.settings(context).await?;
            Some(section.put_into(file.text(), &settings, self.force).map_err(not_ours)?)
        };
        let document = |is_changed: bool| json!({"file": file.path(), "aws_profile": profile, "changed": is_changed});
        if changed.as_deref() == file.text() {
            output.result(&document(false), |output| output.line("There is nothing to change."));
            return Ok(());
        }
        output.note(difference(file.path(), file.text().unwrap_or_default(), changed.as_deref().unwrap_or_default()));
        if !self.is_meant(context, output).await? {
            output.result(&document(false), |output| output.line("Nothing was changed."));
            return Ok(());
        }
        file.replace(changed.as_deref())?;
        output.result(&document(true), |output| {
            output.done(format_args!("{} is written", file.path().display()));
            if !self.undo {
                output.line(format_args!("  Try it: aws --profile {profile} s3 ls"));
            }
        });
        Ok(())
    }

    async fn is_meant(&self, context: &Context, output: &Output) -> Result<bool, CliError> {
        if self.yes {
            return Ok(true);
        }
        let answer = confirm("Is that meant?", context.no_input, output).await;
        answer.ok_or_else(|| CliError::Usage("whether that is meant cannot be asked here: `--yes` says so".to_owned()))
    }

    fn profile_name(&self) -> AwsProfileName {
        self.aws_profile.clone().unwrap_or_else(|| {
            let role = (!self.role.role.is_default()).then_some(self.role.role.as_str());
            AwsProfileName::of(role, self.role.agent.as_ref())
        })
    }

    fn path(&self) -> Result<PathBuf, CliError> {
        let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
        let path = match &self.aws_config_file {
            // AWS programs do the same with the variable.
            Some(path) => path.strip_prefix("~").map_or_else(|_| path.clone(), |below| home.join(below)),
            None => home.join(".aws/config"),
        };
        Ok(std::path::absolute(path)?)
    }

    async fn settings(&self, context: &Context) -> Result<Vec<(&'static str, String)>, CliError> {
        let role = self.role.details(context).await?;
        let mut settings = vec![
            ("credential_process", self.command(&std::env::current_exe()?, context)?),
            ("region", role.region.to_string()),
        ];
        settings.extend(role.endpoint_url.map(|url| ("endpoint_url", url.to_string())));
        Ok(settings)
    }

    fn command(&self, program: &Path, context: &Context) -> Result<String, CliError> {
        let profile = (!context.profile.is_default()).then_some(context.profile.as_str());
        let role = (!self.role.role.is_default()).then_some(self.role.role.as_str());
        let agent = self.role.agent.as_ref().map(agentkeys_types::AgentName::as_str);
        let mut words = vec![word(program)?];
        let mut add = |flag: &str, name: Option<&str>| words.extend(name.map(|name| format!("{flag} {name}")));
        add("--profile", profile);
        add("aws", Some("credential-process"));
        add("--role", role);
        add("--agent", agent);
        Ok(words.join(" "))
    }
}

/// A path as one word of the command, which AWS programs split as a shell does.
fn word(program: &Path) -> Result<String, CliError> {
    let unusable = || CliError::Usage(format!("`{}` is no path that an AWS profile can name", program.display()));
    let text = program.to_str().filter(|text| !text.chars().any(char::is_control)).ok_or_else(unusable)?;
    let is_plain = text.chars().all(|character| character.is_ascii_alphanumeric() || "/._-+@:,".contains(character));
    Ok(if is_plain { text.to_owned() } else { quoted(text) })
}

/// The lines that go and come, as `diff` shows them.
fn difference(path: &Path, before: &str, after: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = |lines: &[&str]| lines.len() - start;
    let same_end = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let end = same_end.min(rest(&old)).min(rest(&new));
    let (gone, come) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    let path = path.display();
    let mut text = format!(
        "--- {path}\n+++ {path}\n@@ -{},{} +{},{} @@",
        start + usize::from(!gone.is_empty()),
        gone.len(),
        start + usize::from(!come.is_empty()),
        come.len()
    );
    for (mark, line) in gone.iter().map(|line| ('-', line)).chain(come.iter().map(|line| ('+', line))) {
        // A text takes whatever is written to it.
        let _ = write!(text, "\n{mark}{line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        assert_eq!(word(Path::new("/usr/bin/agentkeys")).unwrap(), "/usr/bin/agentkeys");
        assert_eq!(word(Path::new("/home/ada b/agentkeys")).unwrap(), "'/home/ada b/agentkeys'");
        assert_eq!(word(Path::new("/home/$a'b/agentkeys")).unwrap(), r"'/home/$a'\''b/agentkeys'");
        assert!(word(Path::new("/home/a\nb/agentkeys")).is_err());
    }

    #[test]
    fn a_difference_has_the_lines_that_go_and_come() {
        let shown = difference(Path::new("/a"), "1\n2\n3\n", "1\nx\ny\n3\n");

        assert_eq!(shown, "--- /a\n+++ /a\n@@ -2,1 +2,2 @@\n-2\n+x\n+y");
        assert_eq!(difference(Path::new("/a"), "", "x\n"), "--- /a\n+++ /a\n@@ -0,0 +1,1 @@\n+x");
        assert_eq!(difference(Path::new("/a"), "1\n1\n", "1\n1\n1\n"), "--- /a\n+++ /a\n@@ -2,0 +3,1 @@\n+1");
    }
}
