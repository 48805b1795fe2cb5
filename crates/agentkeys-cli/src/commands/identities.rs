mod add;
mod remove;

use agentkeys_api::LinkedIdentity;
use agentkeys_client::Session;
use clap::Subcommand;

use self::{add::AddArgs, remove::RemoveArgs};
use crate::{context::Context, error::CliError, interruption, output::Output};

/// What can be done with the account's identities.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentitiesCommand {
    /// List them, the oldest first; `*` marks the one that signed in here
    List,
    /// Link another one, which opens the same account and the same wallet from then on
    Add(AddArgs),
    /// Take one away, and end the sessions that it opened
    Remove(RemoveArgs),
}

impl IdentitiesCommand {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        // A passphrase may be asked for, where Ctrl-C has a meaning of its own.
        let session = context.session().await?;
        match self {
            Self::List => list(&session, context, output).await,
            Self::Add(args) => interruption::or(args.run(&session, context, output)).await,
            Self::Remove(args) => interruption::or(args.run(&session, context, output)).await,
        }
    }
}

async fn list(session: &Session, context: &Context, output: &Output) -> Result<(), CliError> {
    let identities = context.broker().identities(session).await?;
    output.result(&identities, |output| {
        for linked in &identities.identities {
            let mark = if linked.identity == session.identity { '*' } else { ' ' };
            output.line(format_args!("{mark} {}  since {}", in_words(linked), linked.linked_at));
        }
    });
    Ok(())
}

/// The name of an identity, as it can be typed.
fn name(linked: &LinkedIdentity) -> String {
    format!("{}:{}", linked.identity.identity_type, linked.identity.value)
}

/// The same with the address that its provider has for the person.
fn in_words(linked: &LinkedIdentity) -> String {
    match shown_email(linked) {
        Some(email) => format!("{} ({email})", name(linked)),
        None => name(linked),
    }
}

/// That address, as far as a terminal can show it: a provider may say anything.
fn shown_email(linked: &LinkedIdentity) -> Option<String> {
    let is_plain = |character: &char| character.is_ascii_graphic() || character.is_alphanumeric();
    let email: String = linked.email.as_ref()?.chars().filter(is_plain).take(254).collect();
    (!email.is_empty()).then_some(email)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(email: &str) -> LinkedIdentity {
        let document = serde_json::json!({
            "type": "oauth2_acme", "value": "g-1001", "email": email, "linked_at": "2026-12-22T10:00:00Z",
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn the_address_of_a_provider_is_shown_and_moves_no_cursor() {
        assert_eq!(in_words(&linked("ada@example.com")), "oauth2_acme:g-1001 (ada@example.com)");
        assert_eq!(in_words(&linked("ada\u{1b}[2J\r\n")), "oauth2_acme:g-1001 (ada[2J)");
        assert_eq!(in_words(&linked("ada\u{202e}@example.com")), "oauth2_acme:g-1001 (ada@example.com)");
        assert_eq!(in_words(&linked("\n")), "oauth2_acme:g-1001");
    }
}
