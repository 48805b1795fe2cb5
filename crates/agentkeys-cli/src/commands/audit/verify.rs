mod development;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    fs,
    path::{Path, PathBuf},
};

use agentkeys_tlog::VerifierKey;
use agentkeys_types::Timestamp;
use clap::Args;
use serde::Serialize;

use crate::{error::CliError, output::Output, progress::Progress};

/// The flags of `agentkeys audit verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The log's folder of a worker, or the `signing.log` of a development signer
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// The log's key, NAME+HASH+KEY, as a client or the worker's evidence knows it
    #[arg(long, value_name = "KEY")]
    vkey: Option<VerifierKey>,

    /// A checkpoint that somebody kept, which the log must go on from
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// What was checked, and found in order.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Verified {
    entries: u64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counter: Option<u64>,
    /// Whether a key was given, and has signed it.
    is_signed: bool,
    /// How many entries the kept checkpoint has, of which nothing is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<u64>,
    /// How many bytes follow that nobody was told of.
    torn_bytes: u64,
}

impl VerifyArgs {
    pub(crate) fn run(&self, output: &Output) -> Result<(), CliError> {
        let verified = self.verify(&mut Progress::new(output, "entries"))?;
        output.result(&verified, |output| verified.print(output));
        Ok(())
    }

    fn verify(&self, progress: &mut Progress<'_>) -> Result<Verified, CliError> {
        let found = fs::metadata(&self.path).map_err(|error| unreadable(&self.path, &error))?;
        if found.is_dir() {
            return worker::verify(&self.path, self.vkey.as_ref(), self.checkpoint.as_deref(), progress);
        }
        if self.vkey.is_some() || self.checkpoint.is_some() {
            let reason =
                "the log of a development signer has no key and no checkpoints: leave `--vkey` and `--checkpoint` out";
            return Err(CliError::Usage(reason.to_owned()));
        }
        development::verify(&self.path, progress)
    }
}

impl Verified {
    /// Takes note of when an entry was written.
    fn note(&mut self, time: Timestamp) {
        self.from.get_or_insert(time);
        self.to = Some(time);
    }

    fn print(&self, output: &Output) {
        let span = match (self.from, self.to) {
            (Some(from), Some(to)) => format!(", from {from} to {to}"),
            _ => String::new(),
        };
        output.done(format_args!("{} entries{span}: each is what was written, and where", self.entries));
        if let (Some(origin), Some(root)) = (&self.origin, &self.root) {
            let counter = self.counter.map_or_else(|| "none".to_owned(), |counter| counter.to_string());
            output.line(format_args!("  log {origin}  root {root}  counter {counter}"));
            if self.is_signed {
                output.done("its key has signed that");
            } else {
                output.failed("who signed that was not checked: `--vkey` says whose key it has to be");
            }
        }
        if let Some(kept) = self.kept {
            output.done(format_args!("it goes on from the {kept} entries of the checkpoint that was kept"));
        }
        if self.torn_bytes > 0 {
            output.line(format_args!(
                "  {} bytes of an unfinished write follow, which nobody was told of",
                self.torn_bytes
            ));
        }
    }
}

fn unreadable(path: &Path, reason: &impl ToString) -> CliError {
    CliError::TextFile { path: path.to_owned(), reason: reason.to_string() }
}

fn broken(path: &Path, place: &impl ToString, reason: &impl ToString) -> CliError {
    CliError::LogBroken { path: path.to_owned(), place: place.to_string(), reason: reason.to_string() }
}
