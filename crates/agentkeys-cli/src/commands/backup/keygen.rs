use std::path::PathBuf;

use agentkeys_backup::{RecipientKey, fingerprint};
use agentkeys_client::ClientError;
use clap::Args;
use serde_json::json;

use crate::{error::CliError, output::Output};

/// The flags of `agentkeys backup keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// The new file of the key, which only you may read
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl KeygenArgs {
    pub(crate) fn run(&self, output: &Output) -> Result<(), CliError> {
        let key = RecipientKey::generate().map_err(|_| ClientError::NoRandomness)?;
        key.write(&self.file).map_err(|error| {
            let next = "name a new file: a key that a share may be sealed to is never replaced here";
            CliError::key_not_written(&self.file, &error, next)
        })?;
        let (public_key, recipient) = (hex::encode(key.public()), fingerprint(&key.public()));
        output.result(&json!({"file": self.file, "public_key": public_key, "recipient": recipient}), |output| {
            let file = self.file.display();
            output.done(format_args!("Your key is in `{file}`: keep it, without it your share is worth nothing"));
            output.line(format_args!("key       {public_key}"));
            output.line(format_args!("share     the one whose `recipient` is {recipient}"));
            output.note("The worker's operator puts the key into `backup.recipients`");
        });
        Ok(())
    }
}
