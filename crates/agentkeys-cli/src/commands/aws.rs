mod configure;
mod credential_process;
mod export;
mod web_identity;

pub(crate) use self::{
    export::{region_and_endpoint, variables, word},
    web_identity::variables as web_identity_variables,
};

use clap::Subcommand;

use crate::{context::Context, dispensary::RoleArgs, error::CliError, output::Output};

/// The ways in which AWS programs get credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum AwsCommand {
    /// Write a profile that gets credentials from here into the AWS configuration file, after showing the change
    Configure(configure::ConfigureArgs),
    /// Print credentials as AWS programs expect them of their setting `credential_process`
    CredentialProcess(RoleArgs),
    /// Print credentials for a shell, to be read by `eval`, or as JSON
    Export(export::ExportArgs),
    /// Keep a file with a web-identity JWT fresh, from which AWS programs get credentials themselves
    WebIdentity(web_identity::WebIdentityArgs),
}

impl AwsCommand {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        match self {
            Self::Configure(args) => args.run(context, output).await,
            Self::CredentialProcess(role) => credential_process::run(role, context, output).await,
            Self::Export(args) => args.run(context, output).await,
            Self::WebIdentity(args) => args.run(context, output).await,
        }
    }
}
