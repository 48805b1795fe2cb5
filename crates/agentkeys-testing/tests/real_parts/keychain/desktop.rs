use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Stdio, time::Duration};

use agentkeys_testing::{Home, Process};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

use crate::parts;

/// Who logs in to the desktop with it has an unlocked keyring.
const PASSWORD: &[u8] = b"password of the desktop";
const PATIENCE: Duration = Duration::from_secs(20);

/// A bus of its own, in a home of its own, with a keyring on it.
pub(crate) struct Desktop {
    home: Home,
    address: String,
    _bus: Child,
    keyring: Option<Child>,
}

impl Desktop {
    /// As after a log-in.
    pub(crate) async fn unlocked() -> Self {
        let mut desktop = Self::without_a_keyring().await;
        desktop.unlock().await;
        desktop
    }

    /// A bus, and nothing on it.
    pub(super) async fn without_a_keyring() -> Self {
        parts::at("AGENTKEYS_TEST_KEYRING");
        let home = Home::default();
        for folder in ["home", "run"] {
            let folder = home.path().join(folder);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let config = bus_config(&home);
        let mut command = at_home(&home, "dbus-daemon");
        command.arg("--config-file").arg(config).args(["--nofork", "--nopidfile", "--print-address=1"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut bus = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).await.unwrap();
        assert!(address.starts_with("unix:"), "dbus-daemon does not start: {address}");
        Self { home, address: address.trim().to_owned(), _bus: bus, keyring: None }
    }

    /// As when the person logs in.
    pub(super) async fn unlock(&mut self) {
        self.end_keyring().await;
        let mut child = self.spawn_keyring(&["--unlock"]);
        child.stdin.take().unwrap().write_all(PASSWORD).await.unwrap();
        self.keyring = Some(child);
        self.wait_until("the keyring is unlocked", "boolean false").await;
    }

    /// As when a service runs without the person.
    pub(super) async fn lock(&mut self) {
        self.end_keyring().await;
        let mut child = self.spawn_keyring(&["--start"]);
        drop(child.stdin.take());
        self.keyring = Some(child);
        self.wait_until("the keyring is there, and locked", "boolean true").await;
    }

    /// `agentkeys` with these arguments, on this desktop.
    pub(crate) fn agentkeys(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.agentkeys(arguments);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command
    }

    /// The home.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Where the bus is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A program on this desktop. Killed when dropped.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = at_home(&self.home, program);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command
    }

    fn spawn_keyring(&self, how: &[&str]) -> Child {
        let mut command = self.command(parts::at("AGENTKEYS_TEST_KEYRING"));
        command.args(how).args(["--foreground", "--components=secrets"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    async fn end_keyring(&mut self) {
        if let Some(mut keyring) = self.keyring.take() {
            keyring.kill().await.unwrap();
        }
    }

    /// Asks the default collection whether it is locked, until it says so.
    async fn wait_until(&self, what: &str, answer: &str) {
        let search = async {
            loop {
                let mut command = self.command("dbus-send");
                command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]);
                command.args(["/org/freedesktop/secrets/aliases/default", "org.freedesktop.DBus.Properties.Get"]);
                command.args(["string:org.freedesktop.Secret.Collection", "string:Locked"]);
                let said = command.output().await.unwrap();
                if String::from_utf8_lossy(&said.stdout).contains(answer) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect(what);
    }
}

/// A program of somebody else's, at home here. Killed when dropped.
fn at_home(home: &Home, program: impl AsRef<OsStr>) -> Command {
    let mut command = Process::command(program);
    command.envs(home.environment()).kill_on_drop(true);
    command
}

/// A bus that starts nothing by itself: what is not there is not there.
fn bus_config(home: &Home) -> PathBuf {
    let path = home.path().join("bus.conf");
    let config = format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
            "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
        <busconfig>
          <type>session</type>
          <listen>unix:path={}</listen>
          <policy context="default">
            <allow send_destination="*"/>
            <allow receive_sender="*"/>
            <allow own="*"/>
          </policy>
        </busconfig>"#,
        home.path().join("bus").display()
    );
    fs::write(&path, config).unwrap();
    path
}
