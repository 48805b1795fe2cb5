use agentkeys_api::{LinkedIdentity, SessionView};
use agentkeys_client::Session;
use agentkeys_types::EmailAddress;
use clap::Args;
use serde_json::json;

use super::{in_words, name};
use crate::{commands::code::confirm, context::Context, error::CliError, output::Output};

/// The flags of `agentkeys identities remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// As `list` shows it, such as email:ada@example.com; or its address or subject alone
    #[arg(value_name = "IDENTITY")]
    identity: String,

    /// Do not ask whether that is meant
    #[arg(long, short)]
    yes: bool,
}

impl RemoveArgs {
    pub(super) async fn run(&self, session: &Session, context: &Context, output: &Output) -> Result<(), CliError> {
        let broker = context.broker();
        let linked = find(&self.identity, broker.identities(session).await?.identities)?;
        let fallen = sessions_of(&linked, broker.sessions(session).await?.sessions);
        if !self.is_meant(&linked, &fallen, context, output).await? {
            output.result(&json!({"removed": null}), |output| output.line("Nothing was removed."));
            return Ok(());
        }
        broker.unlink_identity(session, &linked.identity).await?;

        // The session here is over then, and what is kept stays: the next sign-in is this device again.
        let is_own = linked.identity == session.identity;
        let ids: Vec<_> = fallen.iter().map(|session| session.session_id).collect();
        let document = json!({"removed": linked.identity, "revoked_sessions": ids, "signed_out": is_own});
        output.result(&document, |output| {
            output.done(format_args!("{} opens this account no more", in_words(&linked)));
            for fallen in &fallen {
                output.line(format_args!("  Session {} ended", line(fallen, session)));
            }
            if is_own {
                let command = context.command();
                output.line(format_args!(
                    "  It had signed in here: `{command} init` signs in with another one, to the same account."
                ));
            }
        });
        Ok(())
    }

    async fn is_meant(
        &self,
        linked: &LinkedIdentity,
        fallen: &[SessionView],
        context: &Context,
        output: &Output,
    ) -> Result<bool, CliError> {
        if self.yes {
            return Ok(true);
        }
        let sessions = match fallen.len() {
            0 => String::new(),
            1 => ", and end the session that it opened".to_owned(),
            count => format!(", and end the {count} sessions that it opened"),
        };
        let question = format!("Remove {}{sessions}?", in_words(linked));
        confirm(&question, context.no_input, output).await
    }
}

/// The one identity that is meant by `text`.
fn find(text: &str, identities: Vec<LinkedIdentity>) -> Result<LinkedIdentity, CliError> {
    if let Some(exact) = identities.iter().find(|linked| name(linked) == text) {
        return Ok(exact.clone());
    }
    // As it is kept, however it was typed.
    let (kind, value) = text.split_once(':').filter(|(kind, _)| *kind == "email").unwrap_or(("", text));
    let address = value.parse::<EmailAddress>().ok();
    let is_address = |text: &str| address.is_some() && text.parse().ok() == address;
    let is_meant = |linked: &LinkedIdentity| {
        let is_of_kind = kind.is_empty() || linked.identity.identity_type.to_string() == kind;
        let email = linked.email.as_deref().filter(|_| kind.is_empty());
        is_of_kind
            && (linked.identity.value == value || is_address(&linked.identity.value) || email.is_some_and(is_address))
    };
    let mut meant: Vec<_> = identities.into_iter().filter(is_meant).collect();
    match meant.len() {
        0 => Err(CliError::NoIdentity(format!("`{text}` is no identity of this account"))),
        1 => Ok(meant.remove(0)),
        _ => {
            let names: Vec<_> = meant.iter().map(name).collect();
            Err(CliError::Usage(format!("`{text}` may be each of: {}", names.join(", "))))
        }
    }
}

fn sessions_of(linked: &LinkedIdentity, sessions: Vec<SessionView>) -> Vec<SessionView> {
    sessions.into_iter().filter(|session| session.identity == linked.identity).collect()
}

fn line(fallen: &SessionView, own: &Session) -> String {
    let client = fallen.client_name.as_deref().unwrap_or("unnamed");
    let here = if fallen.session_id == own.session_id { ", this one," } else { "" };
    format!("{} ({client}){here}", fallen.session_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identities() -> Vec<LinkedIdentity> {
        let identity = |kind: &str, value: &str, email: Option<&str>| {
            let document = json!({"type": kind, "value": value, "email": email, "linked_at": "2026-12-22T10:00:00Z"});
            serde_json::from_value(document).unwrap()
        };
        vec![
            identity("email", "ada@example.com", None),
            identity("email", "ada@example.org", None),
            identity("oauth2_acme", "g-1001", Some("ada@example.org")),
            identity("oauth2_google", "1001", Some("Grace@Example.net")),
            identity("oauth2_acme", "1001", None),
            identity("oauth2_acme", "auth0:42", None),
        ]
    }

    #[test]
    fn an_identity_is_found_by_its_name_address_or_subject() {
        for (text, found) in [
            ("email:ada@example.com", "email:ada@example.com"),
            ("ada@example.com", "email:ada@example.com"),
            ("Ada@EXAMPLE.com", "email:ada@example.com"),
            ("email:Ada@EXAMPLE.com", "email:ada@example.com"),
            ("email:ada@example.org", "email:ada@example.org"),
            ("oauth2_acme:1001", "oauth2_acme:1001"),
            ("g-1001", "oauth2_acme:g-1001"),
            ("grace@example.net", "oauth2_google:1001"),
            ("auth0:42", "oauth2_acme:auth0:42"),
        ] {
            assert_eq!(find(text, identities()).map(|linked| name(&linked)).unwrap(), found, "{text}");
        }
    }

    #[test]
    fn what_may_be_several_or_none_is_refused() {
        for text in ["ada@example.org", "1001"] {
            assert!(matches!(find(text, identities()), Err(CliError::Usage(_))), "{text}");
        }
        for text in ["", "email", "email:", "oauth2_acme", "email:g-1001", "oauth2_google:g-1001", "grace"] {
            assert!(matches!(find(text, identities()), Err(CliError::NoIdentity(_))), "{text}");
        }
    }
}
