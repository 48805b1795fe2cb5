use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;

use crate::Process;

/// A person's home folder, without a keychain, in which `agentkeys` runs.
#[derive(Debug)]
pub struct Home(TempDir);

impl Default for Home {
    /// An empty one.
    fn default() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }
}

impl Home {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// `agentkeys` with these arguments, at home here.
    pub fn agentkeys(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("agentkeys");
        command.args(arguments);
        command
    }

    /// `agentkeys dev` with these arguments, on free ports.
    pub fn dev(&self, arguments: &[&str]) -> Command {
        let mut command = self.agentkeys(&["dev"]);
        for port in ["--broker-port", "--metrics-port", "--signer-port", "--aws-port", "--smtp-port"] {
            command.args([port, "0"]);
        }
        command.args(arguments);
        command
    }

    /// One of our binaries, at home here.
    pub fn command(&self, binary: &str) -> Command {
        let mut command = Process::command(Process::binary(binary));
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command
    }

    /// What makes a program of somebody else's start our binaries at home here.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        let below = |name: &str| self.path().join(name).display().to_string();
        [
            ("HOME", below("home")),
            ("XDG_CONFIG_HOME", below("config")),
            ("XDG_STATE_HOME", below("state")),
            ("XDG_RUNTIME_DIR", below("run")),
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent".to_owned()),
        ]
    }
}
