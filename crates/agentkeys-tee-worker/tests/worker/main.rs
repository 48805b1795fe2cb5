//! The worker's binary, from outside, without a TPM.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod no_other_secret;
mod refused;

use std::process::{Command, Output};

const WORKER: &str = env!("CARGO_BIN_EXE_agentkeys-tee-worker");

/// Runs the worker to its end, with nothing in its environment.
fn run(arguments: &[&str]) -> Output {
    Command::new(WORKER).env_clear().env("NO_COLOR", "1").args(arguments).output().unwrap()
}

/// What it said when it refused.
fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}
