use std::{io, path::PathBuf};

use agentkeys_backup::{RecipientKey, ShareError};
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
        let written = RecipientKey::generate().and_then(|key| key.write(&self.file).map(|()| key.public()));
        let recipient = hex::encode(written.map_err(|error| self.not_written(&error))?);
        output.result(&json!({"file": self.file, "recipient": recipient}), |output| {
            let file = self.file.display();
            output.done(format_args!("Your key is in `{file}`: keep it, without it your share is worth nothing"));
            output.line(format_args!("recipient {recipient}"));
            output.note("The worker's operator puts that into `backup.recipients`");
        });
        Ok(())
    }

    fn not_written(&self, error: &ShareError) -> CliError {
        let next = match error {
            ShareError::File(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                "name a new file: a key that a share may be sealed to is never replaced here"
            }
            _ => "name a file in a folder that you may write to",
        };
        CliError::operators_file(&self.file, error, next)
    }
}
