use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a part may take to stop by itself.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);

/// A program that runs until its standard input closes: when this is dropped, or when this process ends in whatever way.
pub(super) struct Lifeline {
    child: Child,
}

impl Lifeline {
    /// Starts a program that keeps to that.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        // A group of its own, so that Ctrl-C leaves the stopping to us, and a kill reaches all of it.
        let child = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        Ok(Self { child })
    }

    /// Waits until the program, whose output is a pipe, prints `ready`.
    pub(super) fn wait_for_ready_line(&mut self) -> Result<()> {
        let output = self.child.stdout.take().context("its output is no pipe")?;
        for line in BufReader::new(output).lines() {
            if line? == "ready" {
                return Ok(());
            }
        }
        bail!("it ended before it was ready")
    }

    /// Waits until `condition` holds, and no longer than the program lives or `limit` lasts.
    pub(super) fn wait_until(&mut self, limit: Duration, condition: impl Fn() -> bool) -> Result<()> {
        let started = Instant::now();
        while !condition() {
            ensure!(self.child.try_wait()?.is_none(), "it ended before it was ready");
            ensure!(started.elapsed() < limit, "it was not ready within {} s", limit.as_secs());
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let started = Instant::now();
        while started.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(PAUSE);
        }
        // Nothing is left to kill in the usual case, and nobody left to tell if that fails.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_with_its_lifeline() {
        let folder = env!("CARGO_MANIFEST_DIR");
        let script = format!("{folder}/../testdata/until-eof.sh");
        let mut running = Lifeline::start(
            Command::new(script).args(["sh", "-c", "echo ready; exec sleep 1000"]).stdout(Stdio::piped()),
        )
        .unwrap();
        running.wait_for_ready_line().unwrap();
        let started = Instant::now();

        drop(running);

        assert!(started.elapsed() < PATIENCE);
    }

    #[test]
    fn a_program_that_ends_early_is_never_ready() {
        let mut ended = Lifeline::start(&mut Command::new("true")).unwrap();

        assert!(ended.wait_until(Duration::from_mins(1), || false).is_err());
        assert!(ended.wait_for_ready_line().is_err());
    }
}
