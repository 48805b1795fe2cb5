use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use agentkeys_api::{DaemonCredentials, DaemonState};
use agentkeys_client::{DaemonClient, Dispenser, ProfileName};
use agentkeys_testing::{Home, System};
use agentkeys_types::RoleName;
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
        let agent = self.daemon();
        loop {
            if let Ok(credentials) = agent.credentials(&RoleName::default(), None).await {
                return credentials;
            }
        }
    }

    /// Returns when the daemon says so of itself.
    pub(crate) async fn daemon_is(&self, state: DaemonState) {
        let daemon = self.daemon();
        let is_so = async {
            while daemon.status().await.unwrap().state != state {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), is_so).await;
        assert!(waited.is_ok(), "not {state:?}: {:?}", daemon.status().await);
    }

    fn daemon(&self) -> DaemonClient {
        DaemonClient::new(self.0.path().join("run/agentkeys/agent.sock"), ProfileName::default())
    }

    /// The folder of all that is kept here.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// `agentkeys init` with these flags, which keeps its session in a file.
    pub(crate) fn init(&self, flags: &[&str]) -> Command {
        let mut command = self.agentkeys(&["--store", "file", "init"]);
        command.args(flags);
        command
    }

    /// As [`Machine::init`], at a desktop whose browser writes down the address that it is to open.
    pub(crate) fn init_at_desktop(&self, flags: &[&str]) -> Command {
        let mut command = outside_of_containers(self.init(flags), self.path());
        command.env("DISPLAY", ":0").env("BROWSER", format!("sh {}", self.browser().display()));
        let script = format!("printf %s \"$1\" > {}", self.opened().display());
        fs::write(self.browser(), script).unwrap();
        command
    }

    /// The address that the browser of the desktop opened.
    pub(crate) fn opened(&self) -> PathBuf {
        self.path().join("opened")
    }

    fn browser(&self) -> PathBuf {
        self.path().join("browser.sh")
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

/// All files below `folder`.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The same command, which does not see whether this machine is a container: by a file system without its marks.
fn outside_of_containers(command: Command, folder: &Path) -> Command {
    const ENTER: &str = r#"
        mount -t tmpfs none "$0"
        for entry in /*; do
            [ "$entry" = /run ] && continue
            if [ -L "$entry" ]; then cp -P "$entry" "$0$entry"
            elif [ -d "$entry" ]; then mkdir "$0$entry" && mount --rbind "$entry" "$0$entry"
            fi
        done
        exec chroot "$0" "$@""#;
    if !["/.dockerenv", "/run/.containerenv"].into_iter().any(|mark| Path::new(mark).exists()) {
        return command;
    }
    let root = folder.join("root");
    fs::create_dir_all(&root).unwrap();
    let command = command.as_std();
    let mut inside = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        inside.arg("--map-root-user");
    }
    inside.args(["--mount", "sh", "-ec", ENTER]).arg(root);
    inside.arg(command.get_program()).args(command.get_args());
    inside.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    inside
}

/// The document that a command printed.
pub(crate) fn document(ended: &Output) -> Value {
    assert!(ended.status.success(), "{}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap()
}
