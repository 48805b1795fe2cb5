use clap::Subcommand;

use crate::{context::Context, error::CliError, output::Output};

/// What can be done with the account's identities.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentitiesCommand {
    /// List them, the oldest first
    List,
}

impl IdentitiesCommand {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let Self::List = self;
        let session = context.session().await?;
        let identities = context.broker().identities(&session).await?;
        output.result(&identities, |output| {
            for linked in &identities.identities {
                let identity = &linked.identity;
                output.line(format_args!("{}  {}  since {}", identity.identity_type, identity.value, linked.linked_at));
            }
        });
        Ok(())
    }
}
