mod device_key;
mod standing;
mod storage;
mod way;

use agentkeys_api::Devices;
use agentkeys_client::{
    Binding, BrokerClient, ClientError, EmailSignIn, OauthSignIn, Role, Session, StorageError, request_session_token,
    sign_in_by_browser, sign_in_by_device,
};
use agentkeys_types::{EmailAddress, EvmAddress, IdentityType, OmniAccount, ProviderName, Timestamp};
use clap::Args;
use serde::Serialize;

use self::{
    device_key::{Before, KeyNews, Wish},
    standing::Standing,
    way::Way,
};
use super::{
    code::Prompt,
    screen::{Purpose, Screen},
};
use crate::{context::Context, error::CliError, interruption, output::Output, surroundings::Surroundings};

/// The flags of `agentkeys init`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct InitArgs {
    /// Sign in with a code sent to this address, typed in here
    ///
    /// Without it a browser is opened; where there is none before the person (SSH, no display, a container), a code
    /// is shown that is typed on a page, on any machine.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["oauth2", "device", "no_browser"])]
    email: Option<EmailAddress>,

    /// Sign in with this identity provider of the broker
    #[arg(long, value_name = "NAME")]
    oauth2: Option<ProviderName>,

    /// Show a code to type on a page, on any machine
    #[arg(long, conflicts_with = "no_browser")]
    device: bool,

    /// Show the page's address instead of opening a browser; the browser must be on this machine
    #[arg(long)]
    no_browser: bool,

    /// Bind the session to no key of this machine: for CI, with a token that counts for hours only
    #[arg(long)]
    no_bind: bool,

    /// Sign in anew with a new key of this machine, because the one before may have leaked or cannot be read
    ///
    /// Without it each sign-in of the profile uses the same key until `agentkeys logout`. To a worker a new key is
    /// another device.
    #[arg(long, conflicts_with = "no_bind")]
    new_device_key: bool,

    /// Sign in anew although somebody is signed in
    #[arg(long)]
    force: bool,
}

/// What came of it, as a program reads it.
#[derive(Serialize)]
struct Outcome {
    signed_in: bool,
    account: OmniAccount,
    wallet: EvmAddress,
    session_expires_at: Timestamp,
    /// The account's devices, where the signer pins them.
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<Devices>,
    #[serde(flatten)]
    key_news: KeyNews,
}

/// The session that somebody has, and how it stands with it.
struct Connected {
    session: Session,
    /// What became of the device key, where the session is a new one.
    news: Option<KeyNews>,
    standing: Standing,
}

impl InitArgs {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        // Before a mail is sent whose outcome could not be used, or not be kept.
        if context.is_in_memory() && Role::of(&context.settings.aws).is_none() {
            return Err(CliError::NoRole { config: context.places.config_file() });
        }
        context.store.check().await?;
        let Connected { session, news, standing } = interruption::or(self.connect(context, output)).await?;
        if !context.is_in_memory() {
            context.tell_daemon().await;
        }
        let (account, session_expires_at) = (session.omni_account, session.expires_at);
        standing.show_devices(context, output);
        let Standing { wallet, devices } = standing;
        let (is_new, key_news) = (news.is_some(), news.unwrap_or_default());
        let document = Outcome { signed_in: is_new, account, wallet, session_expires_at, devices, key_news };
        output.result(&document, |output| {
            if is_new {
                output.done(format_args!("Wallet proved; session until {}", date(session_expires_at)));
            } else {
                let name = &session.identity.value;
                output.line(format_args!("Already signed in as {name}, until {}.", date(session_expires_at)));
            }
        });
        if context.is_in_memory() {
            return storage::serve_until_the_end(context, output).await;
        }
        if is_new {
            output.note(format_args!("Next: {0} whoami · {0} aws export", context.command()));
            if opens_in_one_way(context, &session).await {
                let command = context.command();
                output.note(format_args!("A second way in, should you lose this one: {command} identities add"));
            }
        }
        Ok(())
    }

    /// The session that is kept or opened, and how it stands with it at the signer.
    async fn connect(&self, context: &Context, output: &Output) -> Result<Connected, CliError> {
        let (session, news) = if let Some(session) = self.standing_session(context).await? {
            (session, None)
        } else {
            let (session, news) = self.sign_in(context, output).await?;
            (session, Some(news))
        };
        let standing = Standing::of(context, &session, output).await?;
        Ok(Connected { session, news, standing })
    }

    /// The session that is kept, if it still stands and there is no reason for another.
    async fn standing_session(&self, context: &Context) -> Result<Option<Session>, CliError> {
        if self.force || self.new_device_key {
            return Ok(None);
        }
        let session = match context.session().await {
            Ok(session) => session,
            Err(
                ClientError::NotSignedIn
                | ClientError::SessionExpired
                | ClientError::Storage(StorageError::KeyLost { .. }),
            ) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match context.broker().session(&session).await {
            Ok(_) if self.is_of_other(&session) => Err(CliError::SignedInAsOther(session.identity.value)),
            Ok(_) => Ok(Some(session)),
            Err(error) if error.needs_sign_in() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the session was opened by another identity than the one that was asked for.
    fn is_of_other(&self, session: &Session) -> bool {
        let identity = &session.identity;
        let other_email = self.email.as_ref().is_some_and(|email| email.as_str() != identity.value);
        let other_type = self.oauth2.as_ref().is_some_and(|provider| type_at(provider) != identity.identity_type);
        other_email || other_type
    }

    /// Signs in with the key that this device has, whatever became of its session, unless there is a reason for another.
    async fn sign_in(&self, context: &Context, output: &Output) -> Result<(Session, KeyNews), CliError> {
        let wish = self.key_wish();
        let before = Before::of(context, wish, output).await?;
        let (binding, unused_key) = before.binding(wish);
        let session = Session { unused_key, ..self.sign_in_with(binding, context, output).await? };
        let news = before.news(wish);
        news.name_key_to_remove(context, output);
        context.store.save(&context.profile, &session).await?;
        storage::settle(context, output).await;
        let identity = &session.identity;
        output.done(format_args!("Signed in as {} ({})", identity.value, identity.identity_type));
        Ok((session, news))
    }

    fn key_wish(&self) -> Wish {
        match (self.no_bind, self.new_device_key) {
            (true, _) => Wish::Unbound,
            (false, true) => Wish::New,
            (false, false) => Wish::Kept,
        }
    }

    async fn sign_in_with(&self, binding: Binding, context: &Context, output: &Output) -> Result<Session, CliError> {
        let session = match Way::choose(self, Surroundings::of_this_process()) {
            Way::Email(email) => {
                let mut prompt = Prompt::new(email.clone(), context.no_input, output)?;
                let broker = reached_broker(context, output).await?;
                let sign_in = EmailSignIn { email, client_name: machine_name(), binding };
                request_session_token(&broker, &sign_in, &mut prompt).await?
            }
            Way::Browser { .. } | Way::Device if context.no_input => return Err(CliError::NoPerson),
            Way::Browser { opens } => {
                let broker = reached_broker(context, output).await?;
                let mut screen = Screen::new(output, opens, Purpose::SignIn);
                sign_in_by_browser(&broker, &self.on_a_page(binding), &mut screen).await?
            }
            Way::Device => {
                let broker = reached_broker(context, output).await?;
                let mut screen = Screen::new(output, false, Purpose::SignIn).with_provider(self.oauth2.clone());
                sign_in_by_device(&broker, &self.on_a_page(binding), &mut screen).await?
            }
        };
        Ok(session)
    }

    fn on_a_page(&self, binding: Binding) -> OauthSignIn {
        OauthSignIn { provider: self.oauth2.clone(), client_name: machine_name(), binding }
    }
}

/// The type of the identities at a provider; `email` is not one, but can be asked for like one.
fn type_at(provider: &ProviderName) -> IdentityType {
    match provider.as_str() {
        "email" => IdentityType::Email,
        _ => IdentityType::Oauth2(provider.clone()),
    }
}

/// The broker, which is there.
async fn reached_broker(context: &Context, output: &Output) -> Result<BrokerClient, CliError> {
    let broker = context.broker();
    broker.health().await?;
    let how = if broker.url().is_loopback() { "on this machine" } else { "TLS ok" };
    output.note(format_args!("  Broker   {} ({how})", broker.url()));
    output.note(format_args!("  Storage  {} (tested: write, read, delete)", context.store.name()));
    Ok(broker)
}

/// Whether the account would be lost with this identity. Not worth a failure.
async fn opens_in_one_way(context: &Context, session: &Session) -> bool {
    context.broker().identities(session).await.is_ok_and(|identities| identities.identities.len() == 1)
}

/// The day alone, as people say it.
fn date(time: Timestamp) -> String {
    time.to_string().chars().take_while(|character| *character != 'T').collect()
}

/// This machine's name, for the mail and the list of sessions.
fn machine_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_day_alone() {
        assert_eq!(date("2026-12-22T10:00:00Z".parse().unwrap()), "2026-12-22");
    }
}
