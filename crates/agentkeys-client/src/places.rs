use std::path::{Path, PathBuf};

use crate::ProfileName;

/// Where settings, state and sockets lie (XDG Base Directory Specification).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    home: PathBuf,
    config: PathBuf,
    state: PathBuf,
    runtime: Option<PathBuf>,
    credentials: Option<PathBuf>,
}

impl Places {
    /// The places of the person who runs this process.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads where a person's folders are")]
    pub fn from_environment() -> Self {
        // The specification: a path that is not absolute is to be ignored.
        let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let places = Self::new(
            &std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")),
            folder("XDG_CONFIG_HOME"),
            folder("XDG_STATE_HOME"),
            folder("XDG_RUNTIME_DIR"),
        );
        Self { credentials: folder("CREDENTIALS_DIRECTORY"), ..places }
    }

    /// The places below `home`, except those that are given.
    pub fn new(home: &Path, config: Option<PathBuf>, state: Option<PathBuf>, runtime: Option<PathBuf>) -> Self {
        Self {
            home: home.to_owned(),
            config: config.unwrap_or_else(|| home.join(".config")).join("agentkeys"),
            state: state.unwrap_or_else(|| home.join(".local/state")).join("agentkeys"),
            runtime: runtime.map(|folder| folder.join("agentkeys")),
            credentials: None,
        }
    }

    /// The same for a service whose secrets systemd puts into `folder`.
    #[must_use]
    pub fn with_credentials(self, folder: PathBuf) -> Self {
        Self { credentials: Some(folder), ..self }
    }

    /// The person's home folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The folder of the settings of all programs.
    pub fn all_settings(&self) -> &Path {
        self.config.parent().unwrap_or(&self.config)
    }

    /// The file of settings.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Where the policy for attested signers lies, unless the settings name another place.
    pub fn attestation_policy(&self) -> PathBuf {
        self.config.join("attestation-policy.toml")
    }

    /// The folder of what is kept between runs.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The folder of what is kept of each profile's session.
    pub fn sessions(&self) -> PathBuf {
        self.state.join("sessions")
    }

    /// The folder of secrets that systemd gives this service.
    pub fn credentials(&self) -> Option<&Path> {
        self.credentials.as_deref()
    }

    /// The record of what the profile's daemon has handed out.
    pub fn hand_outs(&self, profile: &ProfileName) -> PathBuf {
        self.state.join("hand-outs").join(format!("{profile}.jsonl"))
    }

    /// What the profile remembers of the signers that it has accepted.
    pub fn attestations(&self, profile: &ProfileName) -> PathBuf {
        self.state.join("attestation").join(format!("{profile}.json"))
    }

    /// The socket of the profile's daemon.
    pub fn socket(&self, profile: &ProfileName) -> PathBuf {
        let folder = self.runtime.as_ref().unwrap_or(&self.state);
        if profile.is_default() { folder.join("agent.sock") } else { folder.join(profile.as_str()).join("agent.sock") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_has_its_socket_in_the_runtime_folder() {
        let places = Places::new(Path::new("/home/ada"), None, None, Some("/run/user/1".into()));

        assert_eq!(places.socket(&ProfileName::default()), Path::new("/run/user/1/agentkeys/agent.sock"));
        assert_eq!(places.socket(&"dev".parse().unwrap()), Path::new("/run/user/1/agentkeys/dev/agent.sock"));
    }

    #[test]
    fn without_a_runtime_folder_sockets_live_in_the_state_folder() {
        let places = Places::new(Path::new("/home/ada"), None, None, None);

        assert_eq!(places.socket(&ProfileName::default()), Path::new("/home/ada/.local/state/agentkeys/agent.sock"));
        assert_eq!(places.config_file(), Path::new("/home/ada/.config/agentkeys/config.toml"));
    }
}
