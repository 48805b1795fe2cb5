use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

/// How mail leaves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// The SMTP server: `smtp://` plain (loopback only), `smtp://…?tls=required` for STARTTLS, `smtps://` for TLS.
    pub smtp: Url,
    /// The sender.
    pub from: String,
    /// The user name at the SMTP server.
    pub username: Option<String>,
    /// The file that holds the password, readable by the broker alone.
    pub password_file: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// How many mails may wait to leave before no more sign-in mails are taken.
    pub queue: u32,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            smtp: Url::parse("smtp://127.0.0.1:8473").expect("a right URL"),
            from: "AgentKeys <agentkeys@localhost>".to_owned(),
            username: None,
            password_file: None,
            ca_file: None,
            queue: 1000,
        }
    }
}
