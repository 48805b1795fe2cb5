mod credential_process;
mod export;
mod fresh;

#[cfg(feature = "dev")]
pub(crate) use self::export::variables;

use clap::Subcommand;

use crate::{context::Context, error::CliError, output::Output};

/// The ways in which AWS programs get credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum AwsCommand {
    /// Print credentials as AWS programs expect them of their setting `credential_process`
    CredentialProcess,
    /// Print credentials for a shell, to be read by `eval`, or as JSON
    Export(export::ExportArgs),
}

impl AwsCommand {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        match self {
            Self::CredentialProcess => credential_process::run(context, output).await,
            Self::Export(args) => args.run(context, output).await,
        }
    }
}
