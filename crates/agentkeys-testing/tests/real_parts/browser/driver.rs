use std::{path::PathBuf, process::Stdio};

use agentkeys_testing::Process;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

use crate::parts;

const UNTIL_EOF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/until-eof.sh");

/// A chromedriver on a free port, which ends with everything it has started: when dropped, and when this process ends.
pub(super) struct Driver {
    url: String,
    process: Child,
    folder: TempDir,
    /// It writes now and then, and must not find this closed.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Process::command(UNTIL_EOF);
        command.arg(parts::at("AGENTKEYS_TEST_CHROMEDRIVER")).arg("--port=0");
        command.env("HOME", folder.path()).env("TMPDIR", folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut process = command.spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = loop {
            let line = output.next_line().await.unwrap().expect("chromedriver says where it listens");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        Self { url: format!("http://127.0.0.1:{port}"), process, folder, _output: output }
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The folder for the profile, gone with it.
    pub(super) fn profile(&self) -> PathBuf {
        self.folder.path().join("profile")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Browsers and their many processes are of its group.
        let group = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
