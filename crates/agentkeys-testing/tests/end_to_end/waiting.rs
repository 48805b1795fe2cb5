use std::{
    fs,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A command that waits for a person.
pub(crate) struct Waiting {
    child: Child,
    notes: BufReader<ChildStderr>,
    said: String,
}

/// How a command has ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Waiting {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let notes = BufReader::new(child.stderr.take().unwrap());
        Self { child, notes, said: String::new() }
    }

    /// What follows `label` in the line of stderr that has it, as soon as it is there.
    pub(crate) async fn told(&mut self, label: &str) -> String {
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.notes.read_line(&mut line)).await;
            let count = read.unwrap_or_else(|_| panic!("no `{label}` in {}", self.said)).unwrap();
            assert!(count > 0, "it ended without `{label}`: {}", self.said);
            self.said.push_str(&line);
            if let Some((_, rest)) = line.split_once(label) {
                return rest.trim().to_owned();
            }
        }
    }

    /// The arguments that everybody on the machine sees.
    pub(crate) fn arguments(&self) -> String {
        let path = format!("/proc/{}/cmdline", self.child.id().unwrap());
        String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
    }

    pub(crate) async fn type_line(&mut self, line: &str) {
        let keyboard = self.child.stdin.as_mut().unwrap();
        keyboard.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let id = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(id, Signal::INT).unwrap();
    }

    pub(crate) async fn end(mut self) -> Ended {
        let mut stdout = String::new();
        let mut results = self.child.stdout.take().unwrap();
        let end = async {
            let (results, notes) =
                tokio::join!(results.read_to_string(&mut stdout), self.notes.read_to_string(&mut self.said));
            results.and(notes).unwrap();
            self.child.wait().await.unwrap()
        };
        let status = timeout(PATIENCE, end).await.expect("it ends by itself");
        Ended { status, stdout, stderr: self.said }
    }
}

impl Ended {
    /// The document of a command that did what it was asked.
    pub(crate) fn document(&self) -> Value {
        assert!(self.status.success(), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The exit code and what a program is told of a failure.
    pub(crate) fn failure(&self) -> (i32, String, String) {
        assert_eq!(self.stdout, "", "a failure has no result: {self:?}");
        let line = self.stderr.lines().last().unwrap_or_default();
        let document: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let error = &document["error"];
        let code = self.status.code().unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(error["exit"], code, "{self:?}");
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (code, text("code"), format!("{} | {}", text("message"), text("hint")))
    }

    /// How it ended, for a person.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// All that was to be seen.
    pub(crate) fn screen(&self) -> String {
        format!("{}{}", self.stderr, self.stdout)
    }
}
