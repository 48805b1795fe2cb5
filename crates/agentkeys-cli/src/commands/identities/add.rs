use agentkeys_client::{Session, link_email, link_oauth};
use agentkeys_types::{EmailAddress, ProviderName};
use clap::Args;
use serde_json::json;

use super::in_words;
use crate::{
    commands::{
        code::Prompt,
        screen::{Purpose, Screen},
    },
    context::Context,
    error::CliError,
    output::Output,
    surroundings::Surroundings,
};

/// The flags of `agentkeys identities add`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("identity").required(true).args(["email", "oauth2"]))]
pub(crate) struct AddArgs {
    /// An address, with a code that is sent there and typed in here
    #[arg(long, value_name = "ADDRESS")]
    email: Option<EmailAddress>,

    /// An identity at this provider of the broker, proved in a browser
    #[arg(long, value_name = "NAME")]
    oauth2: Option<ProviderName>,

    /// Show the page's address instead of opening a browser
    #[arg(long, conflicts_with = "email")]
    no_browser: bool,
}

impl AddArgs {
    pub(super) async fn run(&self, session: &Session, context: &Context, output: &Output) -> Result<(), CliError> {
        let broker = context.broker();
        let linked = match (&self.email, &self.oauth2) {
            (Some(email), _) => {
                let mut prompt = Prompt::new(email.clone(), context.no_input, output)?;
                link_email(&broker, session, email.clone(), &mut prompt).await?
            }
            (None, Some(_)) if context.no_input => return Err(CliError::NoPerson),
            (None, Some(provider)) => {
                let opens = !self.no_browser && Surroundings::of_this_process().have_a_browser();
                let mut screen = Screen::new(output, opens, Purpose::Link);
                link_oauth(&broker, session, provider.clone(), &mut screen).await?
            }
            (None, None) => return Err(CliError::Usage("name an identity: `--email` or `--oauth2`".to_owned())),
        };
        let document = json!({"identity": linked.identity, "added": linked.is_new});
        output.result(&document, |output| {
            let identity = in_words(&linked.identity);
            if linked.is_new {
                output.done(format_args!("{identity} opens this account from now on"));
            } else {
                output.line(format_args!("{identity} opens this account already."));
            }
        });
        Ok(())
    }
}
