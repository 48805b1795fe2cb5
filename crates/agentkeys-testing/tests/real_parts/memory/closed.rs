//! Processes that others of the same user cannot look into, and that dump no core.

use std::{
    fs,
    os::unix::fs::chown,
    path::Path,
    process::{Output, Stdio},
};

use agentkeys_testing::{Home, Process, System};
use tokio::process::Command;

use super::{
    sts::Sts,
    the_daemon::{home_with, serve_at_home},
};

/// The user and group that nothing belongs to.
const NOBODY: u32 = 65_534;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: cargo xtask test"]
async fn none_of_our_processes_is_open_to_others_of_its_user() {
    let (system, sts) = (System::start().await, Sts::start().await);
    let session = system.walk("ada", &mut ()).await.unwrap().session;
    let home = home_with(&session, &system, &sts).await;
    let nobody = Nobody { home: &home };

    let mut broker = nobody.binary("agentkeys-broker", &["--listen", "--metrics-listen"]);
    broker.arg("--state").arg(home.path().join("state/broker"));
    let parts = nobody.binary("agentkeys-mock-server", &["--listen", "--aws-listen", "--smtp-listen"]);
    let mut daemon = nobody.binary("agentkeys-daemon", &[]);
    serve_at_home(&home, &mut daemon);
    let mut cli = nobody.binary("agentkeys", &[]);
    cli.args(["--verbose", "daemon", "run"]);
    serve_at_home(&home, &mut cli);
    give_to_nobody(home.path());

    let mut open = nobody.program("/bin/sh");
    open.args(["-c", "echo open; exec sleep 60"]);
    let mut open = Process::start(open);
    open.line_with("open").await;
    assert!(nobody.look_into(open.id()).await.status.success(), "the look itself is what is refused");
    nobody.assert_closed("broker", broker, "the broker answers").await;
    nobody.assert_closed("development parts", parts, "development parts listen").await;
    nobody.assert_closed("daemon", daemon, "credentials are served").await;
    nobody.assert_closed("command", cli, "credentials are served").await;
}

/// Somebody without rights, at home in a folder.
struct Nobody<'h> {
    home: &'h Home,
}

impl Nobody<'_> {
    fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Process::command(program.as_ref());
        command.envs(self.home.environment()).env("AGENTKEYS_LOG", "info").current_dir(self.home.path());
        command.uid(NOBODY).gid(NOBODY);
        command
    }

    /// One of our binaries, where everybody may run it, with a free port for each of these listeners.
    fn binary(&self, name: &str, listeners: &[&str]) -> Command {
        let path = self.home.path().join(name);
        fs::copy(Process::binary(name), &path).unwrap();
        let mut command = self.program(path);
        command.args(listeners.iter().flat_map(|listener| [listener, "127.0.0.1:0"]));
        command
    }

    /// Reads what only those may read who may also read the memory.
    async fn look_into(&self, process: u32) -> Output {
        let mut command = self.program("/bin/cat");
        command.arg(format!("/proc/{process}/environ")).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.output().await.unwrap()
    }

    /// Starts one of ours, which is closed as soon as it says this.
    async fn assert_closed(&self, name: &str, command: Command, ready: &str) {
        let mut running = Process::start(command);
        running.line_with(ready).await;

        let look = self.look_into(running.id()).await;
        let limits = fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap();

        let refusal = String::from_utf8_lossy(&look.stderr);
        assert!(!look.status.success() && refusal.contains("Permission denied"), "{name}: {look:?}");
        let cores = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        assert_eq!(cores.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"], "{name}");
        running.kill().await;
    }
}

/// All that is in the folder, and the folder itself.
fn give_to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give_to_nobody(&entry.unwrap().path());
        }
    }
}
