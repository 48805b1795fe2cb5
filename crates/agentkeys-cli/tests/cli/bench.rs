use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A person's home without a keychain.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// What lies at `name`, below which `home` is the home folder.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// What makes a process live in this home.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let below = |name: &str| self.0.path().join(name).display().to_string();
        vec![
            ("HOME", below("home")),
            ("XDG_CONFIG_HOME", below("config")),
            ("XDG_STATE_HOME", below("state")),
            ("XDG_RUNTIME_DIR", below("run")),
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent".to_owned()),
            ("AGENTKEYS_LOG", "off".to_owned()),
        ]
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agentkeys"));
        command.args(arguments).envs(self.environment()).stdin(Stdio::null());
        command
    }

    pub(crate) fn agentkeys(&self, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.command(arguments))
    }

    /// `agentkeys dev` on free ports.
    pub(crate) fn dev(&self, arguments: &[&str]) -> Ended {
        self.agentkeys(&with_free_ports(arguments))
    }

    /// `agentkeys dev` on free ports, until it has said all it has to say.
    pub(crate) fn start_dev(&self) -> Running {
        let mut child = self.command(&with_free_ports(&[])).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut screen = Vec::new();
        while screen.last().is_none_or(|line| line != "Ctrl-C stops it.") {
            screen.push(lines.next().expect("it goes on").unwrap());
        }
        Running { child, screen }
    }
}

fn with_free_ports<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let ports = ["--broker-port", "--metrics-port", "--signer-port", "--aws-port", "--smtp-port"];
    let mut all = vec!["dev"];
    all.extend(ports.iter().flat_map(|flag| [*flag, "0"]));
    all.extend(arguments);
    all
}

/// A process that has ended.
pub(crate) struct Ended(Output);

impl Ended {
    /// What came of `command`.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self(command.output().unwrap())
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// The one JSON document on stdout of a process that went well.
    pub(crate) fn document(&self) -> Value {
        assert_eq!(self.code(), Some(0), "{}", self.stderr());
        serde_json::from_str(&self.stdout()).unwrap()
    }
}

/// An `agentkeys dev` that waits for Ctrl-C. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) screen: Vec<String>,
}

impl Running {
    /// Presses Ctrl-C.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
