use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use agentkeys_client::Role;
use agentkeys_types::{AgentName, Invalid, RoleName};
use serde::{Deserialize, Serialize};

use crate::{commands::aws, context::Context, error::CliError};

/// The name of a profile of AWS programs, of characters that need no quotes in their files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AwsProfileName(String);

impl AwsProfileName {
    /// The name for this role, which goes without saying where it is the default one, and this agent.
    pub(crate) fn of(role: &RoleName, agent: Option<&AgentName>) -> Self {
        let role = (!role.is_default()).then_some(role.as_str());
        let parts = [Some("agentkeys"), role, agent.map(AgentName::as_str)];
        Self(parts.into_iter().flatten().collect::<Vec<_>>().join("-"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AwsProfileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for AwsProfileName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.@+/-".contains(&byte);
        if !(1..=128).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(Invalid("an AWS profile is named with 1 to 128 letters, digits and _.@+/-"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a profile says, line by line.
pub(crate) type Settings = Vec<(String, String)>;

/// The configuration file of AWS programs: the one that was asked for, or the usual one.
pub(crate) fn path(asked: Option<&Path>, home: &Path) -> Result<PathBuf, CliError> {
    let path = match asked {
        // AWS programs do the same with their variable.
        Some(path) => path.strip_prefix("~").map_or_else(|_| path.to_owned(), |below| home.join(below)),
        None => home.join(".aws/config"),
    };
    Ok(std::path::absolute(path)?)
}

/// What has AWS programs get the role's credentials from this program, for an agent if one is named.
pub(crate) fn settings(role: &Role, agent: Option<&AgentName>, context: &Context) -> Result<Settings, CliError> {
    let mut words = vec![word(&std::env::current_exe()?)?];
    let mut add = |flag: &str, name: Option<&str>| words.extend(name.map(|name| format!("{flag} {name}")));
    add("--profile", (!context.profile.is_default()).then_some(context.profile.as_str()));
    add("aws", Some("credential-process"));
    add("--role", (!role.name.is_default()).then_some(role.name.as_str()));
    add("--agent", agent.map(AgentName::as_str));
    let mut settings =
        vec![("credential_process".to_owned(), words.join(" ")), ("region".to_owned(), role.region.to_string())];
    settings.extend(role.endpoint_url.as_ref().map(|url| ("endpoint_url".to_owned(), url.to_string())));
    Ok(settings)
}

/// A path as one word of the command, which AWS programs split as a shell does.
fn word(program: &Path) -> Result<String, CliError> {
    let unusable = || CliError::Usage(format!("`{}` is no path that an AWS profile can name", program.display()));
    let text = program.to_str().filter(|text| !text.chars().any(char::is_control)).ok_or_else(unusable)?;
    Ok(aws::word(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_named_after_the_role_unless_it_is_the_default_one_and_the_agent() {
        let (default, read, claude) = (RoleName::default(), "read".parse().unwrap(), "claude".parse().unwrap());

        let names = [(&default, None), (&read, None), (&default, Some(&claude)), (&read, Some(&claude))]
            .map(|(role, agent)| AwsProfileName::of(role, agent).to_string());

        assert_eq!(names, ["agentkeys", "agentkeys-read", "agentkeys-claude", "agentkeys-read-claude"]);
    }

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        assert_eq!(word(Path::new("/usr/bin/agentkeys")).unwrap(), "/usr/bin/agentkeys");
        assert_eq!(word(Path::new("/home/ada b/agentkeys")).unwrap(), "'/home/ada b/agentkeys'");
        assert_eq!(word(Path::new("/home/$a'b/agentkeys")).unwrap(), r"'/home/$a'\''b/agentkeys'");
        assert!(word(Path::new("/home/a\nb/agentkeys")).is_err());
    }
}
