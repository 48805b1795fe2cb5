mod verify;

use clap::Subcommand;

use crate::{error::CliError, output::Output};

/// What can be done with the log of a signer.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that a signer's log is what it wrote, without any server
    Verify(verify::VerifyArgs),
}

impl AuditCommand {
    pub(crate) fn run(&self, output: &Output) -> Result<(), CliError> {
        match self {
            Self::Verify(args) => args.run(output),
        }
    }
}
