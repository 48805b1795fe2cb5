use std::{fmt, fs, time::Duration};

use agentkeys_crypto::{private_file, random};
use async_trait::async_trait;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::RenderedMail;
use crate::{ConfigError, Mail};

/// Within this time the mail server has taken a mail, or it is tried again.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why mail did not leave. What a mail server says in its own words is left out, because addresses stand there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// The mail server does not take this mail now.
    #[error("the mail server takes this mail later: {0}")]
    Later(u16),
    /// The mail server will never take this mail.
    #[error("the mail server refuses this mail for good: {0}")]
    Refused(u16),
    /// The mail server cannot be reached, does not let us in, or takes no mail at all.
    #[error("the mail server is not there for us: {0}")]
    Unavailable(String),
    /// There is no mail to be made of it.
    #[error("there is no mail to be made of it")]
    Unreadable,
}

impl MailError {
    /// Whether trying again is of no use.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unreadable)
    }

    /// What a reply means: one to us is not one to the mail, and says nothing about the next.
    fn of_reply(code: u16) -> Self {
        match code {
            // Closing, or how and whether we sign in (RFC 5321 section 4.2.2, RFC 4954 section 6).
            421 | 432 | 454 | 530 | 534 | 535 | 538 => Self::Unavailable(code.to_string()),
            500.. => Self::Refused(code),
            _ => Self::Later(code),
        }
    }
}

impl From<lettre::transport::smtp::Error> for MailError {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        match error.status() {
            Some(code) => Self::of_reply(u16::from(code)),
            // Its words would be the server's.
            None if error.is_response() => Self::Unavailable("a reply that makes no sense".to_owned()),
            None => Self::Unavailable(error.to_string()),
        }
    }
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync + fmt::Debug {
    /// Sends a mail; returns when the mail server has taken it.
    async fn send(&self, mail: &RenderedMail) -> Result<(), MailError>;

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
        let is_wrapped = settings.smtp.scheme() == "smtps";
        let tls = is_wrapped || settings.smtp.query() == Some("tls=required");
        let loopback = matches!(settings.smtp.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        if !tls && !loopback {
            return Err(ConfigError::Value("`mail.smtp` off loopback must be smtps:// or end in ?tls=required"));
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.smtp.as_str());
        let mut builder = builder.map_err(|_| ConfigError::Value("`mail.smtp` must be an smtp:// or smtps:// URL"))?;
        if settings.ca_file.is_some() {
            if !tls {
                return Err(ConfigError::Value("`mail.ca_file` needs `mail.smtp` with TLS"));
            }
            let parameters = tls_parameters(settings)?;
            builder = builder.tls(if is_wrapped { Tls::Wrapper(parameters) } else { Tls::Required(parameters) });
        }
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

    fn message(&self, mail: &RenderedMail) -> Result<Message, lettre::error::Error> {
        // Split by hand, because delivery must go to exactly the text that was hashed.
        let (user, domain) = mail.to.as_str().split_once('@').unwrap_or_default();
        let address = Address::new(user, domain).map_err(|_| lettre::error::Error::MissingTo)?;
        // Named after the sender, because the name of this machine is nobody's business.
        let message_id = format!("<{:032x}@{}>", u128::from_ne_bytes(random()), self.from.email.domain());
        Message::builder()
            .message_id(Some(message_id))
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject(mail.subject)
            // So that no holiday replies to it (RFC 3834).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(mail.text.as_str().to_owned(), mail.html.as_str().to_owned()))
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SmtpMailer").field("from", &self.from.email).finish_non_exhaustive()
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &RenderedMail) -> Result<(), MailError> {
        let message = self.message(mail).map_err(|_| MailError::Unreadable)?;
        within_the_longest_wait(self.transport.send(message)).await.map(drop)
    }

    async fn check(&self) -> Result<(), MailError> {
        if within_the_longest_wait(self.transport.test_connection()).await? {
            Ok(())
        } else {
            Err(MailError::Unavailable("it refused".to_owned()))
        }
    }
}

/// The authorities of the system, and those of the settings.
fn tls_parameters(settings: &Mail) -> Result<TlsParameters, ConfigError> {
    const UNREADABLE: ConfigError = ConfigError::Value("`mail.ca_file` cannot be read as PEM certificates");
    let path = settings.ca_file.as_ref().ok_or(UNREADABLE)?;
    let pem = fs::read(path).map_err(|_| UNREADABLE)?;
    // Anything without a certificate in it is read as none.
    if !pem.windows(BEGIN.len()).any(|bytes| bytes == BEGIN) {
        return Err(UNREADABLE);
    }
    let authorities = Certificate::from_pem(&pem).map_err(|_| UNREADABLE)?;
    let host = settings.smtp.host_str().unwrap_or_default().to_owned();
    TlsParameters::builder(host).add_root_certificate(authorities).build_rustls().map_err(|_| UNREADABLE)
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

async fn within_the_longest_wait<T>(
    work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, MailError> {
    match tokio::time::timeout(LONGEST_WAIT, work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(MailError::Unavailable("no answer within 5 s".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_to_us_is_told_from_one_to_the_mail() {
        for (code, expected) in [
            (421, MailError::Unavailable("421".to_owned())),
            (450, MailError::Later(450)),
            (451, MailError::Later(451)),
            (454, MailError::Unavailable("454".to_owned())),
            (530, MailError::Unavailable("530".to_owned())),
            (535, MailError::Unavailable("535".to_owned())),
            (550, MailError::Refused(550)),
            (554, MailError::Refused(554)),
        ] {
            let error = MailError::of_reply(code);

            assert_eq!(error, expected);
            assert_eq!(error.is_final(), matches!(code, 550 | 554), "{code}");
        }
    }

    #[test]
    fn authorities_are_read_from_a_file_and_for_tls_only() {
        let folder = tempfile::tempdir().unwrap();
        let nonsense = folder.path().join("nonsense.pem");
        fs::write(&nonsense, "nonsense").unwrap();
        let refusal = |smtp: &str, ca_file| {
            let settings = Mail { smtp: smtp.parse().unwrap(), ca_file: Some(ca_file), ..Mail::default() };
            SmtpMailer::new(&settings).unwrap_err().to_string()
        };

        for smtp in ["smtps://mail.example.com", "smtp://mail.example.com?tls=required"] {
            assert!(refusal(smtp, nonsense.clone()).contains("`mail.ca_file` cannot be read"));
            assert!(refusal(smtp, folder.path().join("missing.pem")).contains("`mail.ca_file` cannot be read"));
        }
        assert!(refusal("smtp://127.0.0.1:25", nonsense).contains("`mail.ca_file` needs"));
    }
}
