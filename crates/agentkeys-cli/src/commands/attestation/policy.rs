use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use agentkeys_attestation::{Accept, Policy};
use agentkeys_client::{ClientError, read_policy, read_release_key, signature_of};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::offline_key;
use crate::{
    error::CliError,
    output::Output,
    public_file::{self, Existing},
};

/// What to do with a policy that is not signed.
const UNSIGNED: &str = "mend it, and see with `agentkeys attestation policy check FILE` that a client would take it";

/// What an operator can do with a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Read a policy as a client would, and say what it accepts; with `--release-key`, its signature too
    Check(CheckArgs),
    /// Check a policy and sign it: the signature lies beside it, in FILE.sig
    Sign(SignArgs),
}

/// The flags of `agentkeys attestation policy check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// The flags of `agentkeys attestation policy sign`.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The file of the release key, from `agentkeys attestation keygen`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl PolicyCommand {
    pub(crate) fn run(&self, release_key: Option<&str>, output: &Output) -> Result<(), CliError> {
        match self {
            Self::Check(args) => args.run(release_key, output),
            Self::Sign(args) => args.run(output),
        }
    }
}

impl CheckArgs {
    fn run(&self, release_key: Option<&str>, output: &Output) -> Result<(), CliError> {
        let key = release_key.map(read_release_key).transpose()?;
        let policy = read_policy(&self.file, key.as_ref())?;
        let signed = if key.is_some() { "signed by the release key" } else { "its signature was not looked at" };
        let document = json!({
            "version": policy.version,
            "min_release": policy.min_release.to_string(),
            "allow_dev": policy.allow_dev,
            "allow_any_message": policy.allow_any_message,
            "reattest_seconds": policy.reattest.as_secs(),
            "accept": policy.accept.iter().map(|entry| described(entry, &policy)).collect::<Vec<_>>(),
            "is_signed": key.is_some(),
        });
        output.result(&document, |output| print(&policy, signed, output));
        Ok(())
    }
}

impl SignArgs {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let key = offline_key::read(&self.key)?;
        let refused = |path: &Path, reason: &dyn Display| CliError::operators_file(path, reason, UNSIGNED);
        // What no client would take is not signed either.
        read_policy(&self.file, None).map_err(|error| match error {
            ClientError::PolicyUnusable { path, reason } => refused(&path, &reason),
            error => error.into(),
        })?;
        let bytes = fs::read(&self.file).map_err(|error| refused(&self.file, &error))?;
        let signature = key.sign(&bytes).map_err(|error| offline_key::unusable(&self.key, error))?;
        let path = signature_of(&self.file);
        let written = public_file::write(&path, &format!("{signature}\n"), Existing::Replace);
        written.map_err(|error| CliError::operators_file(&path, error, "sign where you may write to that folder"))?;
        output.result(&json!({"signature": path}), |output| {
            output.done(format_args!("Signed: `{}`", path.display()));
        });
        Ok(())
    }
}

fn print(policy: &Policy, signed: &str, output: &Output) {
    output.done(format_args!("A policy that can be used: version {}, {signed}", policy.version));
    for entry in &policy.accept {
        let (backend, release) = (super::in_words(entry.backend()), entry.release());
        if is_refused(entry, policy) {
            output.failed(format_args!("refuses {backend}, release {release}: it is below `min_release`"));
        } else {
            output.line(format_args!("accepts      {backend}, release {release}"));
        }
    }
    output.line(format_args!("from release {} on", policy.min_release));
    if policy.allow_dev {
        output.line("accepts      a development signer on the same machine, which proves nothing");
    }
    if policy.allow_any_message {
        output.line("accepts      a worker that signs any message");
    }
}

fn described(entry: &Accept, policy: &Policy) -> Value {
    json!({
        "backend": entry.backend(),
        "release": entry.release().to_string(),
        "refused": is_refused(entry, policy),
    })
}

/// Whether an entry accepts nothing, because its release is too old.
fn is_refused(entry: &Accept, policy: &Policy) -> bool {
    entry.release() < policy.min_release
}
