use std::{fmt::Display, path::PathBuf};

use agentkeys_api::{RestoreProgress, SealedShare};
use agentkeys_backup::RecipientKey;
use agentkeys_client::AttestationPolicy;
use clap::Args;
use serde::Serialize;

use crate::{context::Context, error::CliError, output::Output};

/// The flags of `agentkeys backup restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Your share: one of the files that the worker's first start has written
    #[arg(long, value_name = "FILE")]
    share: PathBuf,

    /// The file of your key, from `agentkeys backup keygen`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// What came of it, as a program reads it.
#[derive(Serialize)]
struct Given<'a> {
    signer_url: String,
    identity_pub: &'a str,
    release: Option<&'a str>,
    policy_version: u64,
    policy_is_signed: bool,
    #[serde(flatten)]
    progress: RestoreProgress,
}

impl RestoreArgs {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let key = RecipientKey::read(&self.key).map_err(|error| {
            let next = "`agentkeys backup keygen FILE` made it for you; its file is its owner's alone (mode 600)";
            CliError::operators_file(&self.key, error, next)
        })?;
        let (share, identity_pub) = self.share_of(&key)?;
        let signer = context.signer()?;
        let unjudged = || context.unjudged(signer.url());
        let policy = signer.policy().ok_or_else(unjudged)?;
        if !policy.is_signed() {
            return Err(CliError::PolicyUnsigned(policy.path().to_owned()));
        }
        let worker = signer.find_restoring(identity_pub).await?.ok_or_else(unjudged)?;
        let release = worker.release().map(str::to_owned);
        let resealed = key.reseal(&share, worker.key()).map_err(|error| self.unusable(error))?;
        drop(key);
        let progress = worker.give(&resealed).await?;
        let given = Given {
            signer_url: signer.url().to_string(),
            identity_pub: &share.identity_pub,
            release: release.as_deref(),
            policy_version: policy.version(),
            policy_is_signed: policy.is_signed(),
            progress,
        };
        output.result(&given, |output| given.print(policy, output));
        Ok(())
    }

    /// The share and whose secret it is of, if it is for this key.
    fn share_of(&self, key: &RecipientKey) -> Result<(SealedShare, [u8; 33]), CliError> {
        let share = agentkeys_backup::read_share(&self.share).map_err(|error| self.unusable(error))?;
        if !key.is_recipient_of(&share) {
            let reason = format!("it is sealed to another key than the one in `{}`", self.key.display());
            return Err(self.unusable(reason));
        }
        let mut identity_pub = [0; 33];
        let decoded = hex::decode_to_slice(&share.identity_pub, &mut identity_pub);
        decoded.map_err(|_| self.unusable("its `identity_pub` is not 66 hex digits"))?;
        Ok((share, identity_pub))
    }

    fn unusable(&self, reason: impl Display) -> CliError {
        let next = "take the share that was made for your key: one of `backup/share-1.json` and so on, from the folder of \
                    the worker's state";
        CliError::operators_file(&self.share, reason, next)
    }
}

impl Given<'_> {
    fn print(&self, policy: &AttestationPolicy, output: &Output) {
        let RestoreProgress { restored, shares, threshold } = self.progress;
        if restored {
            output.done(format_args!("Restored: {} has the master secret", self.signer_url));
        } else {
            output.done(format_args!("{} has your share: {shares} of {threshold} are there", self.signer_url));
            output.note("The next holder does the same, before the worker is stopped");
        }
        output.line(format_args!("identity  {}", self.identity_pub));
        output.line(format_args!("shares    {shares} of {threshold}"));
        output.line(format_args!("release   {}", self.release.unwrap_or("unknown")));
        output.line(format_args!("policy    {}", policy.in_words()));
    }
}
