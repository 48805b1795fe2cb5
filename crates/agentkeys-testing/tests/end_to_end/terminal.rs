use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A command at a terminal of its own, by `script` of util-linux.
pub(super) struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    /// Runs `command` with further arguments, and says at the end how it ended.
    pub(super) fn start(command: &Command, arguments: &str) -> Self {
        let command = command.as_std();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let program = command.get_program().to_string_lossy();
        let line = format!("{program} {} {arguments}; echo exit $?", words.join(" "));
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--command", &line, "/dev/null"]);
        script.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut child = script.spawn().unwrap();
        let (keyboard, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keyboard, screen, shown: String::new() }
    }

    /// Waits for a question, and types the answer to it.
    pub(super) async fn answer(&mut self, question: &str, answer: &str) {
        self.wait_for(question).await;
        self.type_in(&format!("{answer}\n")).await;
    }

    /// Types keys.
    pub(super) async fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits until the screen shows it.
    pub(super) async fn wait_for(&mut self, text: &str) {
        while !self.shown.contains(text) {
            assert!(self.read().await, "it ended without `{text}`: {}", self.shown);
        }
    }

    /// Waits for its end, and gives all that was to be seen.
    pub(super) async fn end(mut self) -> String {
        while self.read().await {}
        self.child.wait().await.unwrap();
        self.shown
    }

    async fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, self.screen.read(&mut buffer)).await;
        let count = read.unwrap_or_else(|_| panic!("nothing more is shown: {}", self.shown)).unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        count > 0
    }
}
