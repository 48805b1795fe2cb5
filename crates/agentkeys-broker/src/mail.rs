use std::{fmt, net::IpAddr, time::Duration};

use agentkeys_crypto::{private_file, random};
use agentkeys_types::{EmailAddress, Timestamp};
use async_trait::async_trait;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, MIME_VERSION_1_0},
    },
    transport::smtp::authentication::Credentials,
};
use zeroize::Zeroizing;

use crate::{ConfigError, Mail};

/// Within this time the mail server has taken the mail, or the sign-in is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why mail did not leave.
#[derive(Debug, thiserror::Error)]
#[error("mail did not leave: {0}")]
pub struct MailError(String);

/// What a person is told when a machine asks to sign in as them.
pub struct SignInMail {
    /// Exactly the address that will be hashed.
    pub to: EmailAddress,
    /// The code to type.
    pub code: Zeroizing<String>,
    /// Which machine asks.
    pub client_name: Option<String>,
    /// From where.
    pub source: IpAddr,
    /// When.
    pub asked_at: Timestamp,
}

impl fmt::Debug for SignInMail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SignInMail").field("to", &self.to).finish_non_exhaustive()
    }
}

impl SignInMail {
    /// The mail's words: no link in them, because opening a mail must approve nothing.
    fn body(&self) -> String {
        let Self { to, code, source, asked_at, .. } = self;
        let machine = self.client_name.as_deref().unwrap_or("A machine that gave no name");
        format!(
            "{machine} asks to sign in to AgentKeys as {to}.\n\
             Asked from {source} at {asked_at}.\n\
             \n\
             If that was you, type this code where you were asked for it:\n\
             \n\
             \x20   {}\n\
             \n\
             It works for 10 minutes, once, and only there. Nobody from AgentKeys will ask you for it.\n\
             If it was not you, ignore this mail: nothing happens without the code.\n",
            code.as_str()
        )
    }
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync + fmt::Debug {
    /// Sends a sign-in mail; returns when the mail server has taken it.
    async fn send(&self, mail: SignInMail) -> Result<(), MailError>;

    /// Whether mail could leave now.
    async fn check(&self) -> Result<(), MailError>;
}

/// Sends mail by SMTP (RFC 5321).
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMailer {
    /// A mailer for these settings.
    ///
    /// # Errors
    ///
    /// When the settings make no sense together, or would send codes in the clear off loopback.
    pub fn new(settings: &Mail) -> Result<Self, ConfigError> {
        let tls = settings.smtp.scheme() == "smtps" || settings.smtp.query() == Some("tls=required");
        let loopback = matches!(settings.smtp.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        if !tls && !loopback {
            return Err(ConfigError::Value("`mail.smtp` off loopback must be smtps:// or end in ?tls=required"));
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.smtp.as_str());
        let mut builder = builder.map_err(|_| ConfigError::Value("`mail.smtp` must be an smtp:// or smtps:// URL"))?;
        if let (Some(username), Some(path)) = (&settings.username, &settings.password_file) {
            let unreadable = |_| ConfigError::Value("`mail.password_file` cannot be read, or others may read it");
            let password = private_file::read(path).map_err(unreadable)?;
            let text = String::from_utf8_lossy(&password).trim_end().to_owned();
            builder = builder.credentials(Credentials::new(username.clone(), text));
        }
        let from =
            settings.from.parse().map_err(|_| ConfigError::Value("`mail.from` must be `Name <name@example.com>`"))?;
        Ok(Self { transport: builder.timeout(Some(LONGEST_WAIT)).build(), from })
    }

    fn message(&self, mail: &SignInMail) -> Result<Message, lettre::error::Error> {
        // Split by hand, because delivery must go to exactly the text that was hashed.
        let (user, domain) = mail.to.as_str().split_once('@').unwrap_or_default();
        let address = Address::new(user, domain).map_err(|_| lettre::error::Error::MissingTo)?;
        // Named after the sender, because the name of this machine is nobody's business.
        let message_id = format!("<{:032x}@{}>", u128::from_ne_bytes(random()), self.from.email.domain());
        Message::builder()
            .message_id(Some(message_id))
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject("Your AgentKeys sign-in code")
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body())
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SmtpMailer").field("from", &self.from.email).finish_non_exhaustive()
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: SignInMail) -> Result<(), MailError> {
        let message = self.message(&mail).map_err(|error| MailError(error.to_string()))?;
        let sent = tokio::time::timeout(LONGEST_WAIT, self.transport.send(message)).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(MailError(error.to_string())),
            Err(_) => Err(MailError("the mail server did not answer within 5 s".to_owned())),
        }
    }

    async fn check(&self) -> Result<(), MailError> {
        match tokio::time::timeout(LONGEST_WAIT, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(MailError("the mail server refused".to_owned())),
            Ok(Err(error)) => Err(MailError(error.to_string())),
            Err(_) => Err(MailError("the mail server did not answer within 5 s".to_owned())),
        }
    }
}
