mod conformance;

use clap::Subcommand;

use crate::{context::Context, error::CliError, output::Output};

/// What can be done with the signer.
#[derive(Debug, Subcommand)]
pub(crate) enum SignerCommand {
    /// Hold a signer against the wire contract, check by check
    Conformance(conformance::ConformanceArgs),
}

impl SignerCommand {
    pub(crate) async fn run(self, context: &Context, output: &Output) -> Result<u8, CliError> {
        match self {
            Self::Conformance(args) => Box::pin(args.run(context, output)).await,
        }
    }
}
