use std::{fs, path::PathBuf, process::Output};

use agentkeys_api::DaemonCredentials;
use agentkeys_client::{DaemonClient, ProfileName};
use agentkeys_testing::{Home, System};
use serde_json::Value;
use tokio::process::Command;

/// A machine without a keychain.
pub(crate) struct Machine(Home);

impl Machine {
    pub(crate) fn new() -> Self {
        Self(Home::default())
    }

    /// On which systemd gives the unit a key.
    pub(crate) fn with_credential() -> Self {
        let machine = Self::new();
        fs::create_dir(machine.credential().parent().unwrap()).unwrap();
        fs::write(machine.credential(), [7; 32]).unwrap();
        machine
    }

    pub(crate) fn credential(&self) -> PathBuf {
        self.0.path().join("credentials/agentkeys-session-key")
    }

    pub(crate) fn sessions(&self) -> PathBuf {
        self.0.path().join("state/agentkeys/sessions")
    }

    pub(crate) fn set_role(&self, system: &System) {
        let folder = self.0.path().join("config/agentkeys");
        fs::create_dir_all(&folder).unwrap();
        let aws = format!("[aws]\nrole_arn = \"{}\"\nendpoint_url = \"{}\"\n", System::ROLE_ARN, system.aws_url());
        fs::write(folder.join("config.toml"), aws).unwrap();
    }

    /// What the daemon gives as soon as it has any.
    pub(crate) async fn credentials(&self) -> DaemonCredentials {
        let agent = DaemonClient::new(self.0.path().join("run/agentkeys/agent.sock"));
        loop {
            if let Ok(credentials) = agent.credentials(&ProfileName::default()).await {
                return credentials;
            }
        }
    }

    pub(crate) fn agentkeys(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("agentkeys");
        command.args(arguments);
        command
    }

    pub(crate) fn command(&self, binary: &str) -> Command {
        let mut command = self.0.command(binary);
        if self.credential().exists() {
            command.env("CREDENTIALS_DIRECTORY", self.credential().parent().unwrap());
        }
        command
    }
}

/// The document that a command printed.
pub(crate) fn document(ended: &Output) -> Value {
    assert!(ended.status.success(), "{}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap()
}
