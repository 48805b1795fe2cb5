use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use agentkeys_crypto::Algorithm;
use agentkeys_provider::SettingsError;
use agentkeys_types::{ClientId, ProviderName};
use serde::Deserialize;
use url::Url;

use crate::{AllowList, Issuer};

/// The broker's settings, as read from `broker.toml`. All of them are optional on loopback.
///
/// Read once, at start. Secrets are never values here: they are paths to files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where Prometheus finds the metrics. Not reachable by clients of `listen`.
    pub metrics_listen: SocketAddr,
    /// The URL under which clouds find the signing keys; by default that of `listen`, on loopback.
    pub issuer: Option<Issuer>,
    /// The deployment's namespace. Every account depends on it: it cannot be changed later.
    pub client_id: ClientId,
    /// The folder of the store and, unless `keys` says otherwise, of the signing keys.
    pub state: PathBuf,
    /// The folder of the signing keys, made at first start; by default `keys` inside `state`.
    pub keys: Option<PathBuf>,
    /// How web-identity JWTs are signed; RS256 is for relying parties that know nothing else.
    pub oidc_algorithm: Algorithm,
    /// For whom web-identity JWTs may be minted.
    pub audiences: BTreeSet<String>,
    /// The chains that a wallet challenge may name (EIP-155 ids).
    pub chain_ids: BTreeSet<u64>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: BTreeSet<IpAddr>,
    /// Who may sign in.
    pub sign_in: AllowList,
    /// How mail leaves.
    pub mail: Mail,
    /// How often things may happen.
    pub limits: Limits,
    /// How long sessions stand.
    pub sessions: Sessions,
    /// The OpenID Providers with which people may sign in, by the name that becomes part of the identity.
    pub providers: BTreeMap<ProviderName, ProviderConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8470)),
            metrics_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9470)),
            issuer: None,
            client_id: ClientId::default(),
            state: PathBuf::from("/var/lib/agentkeys"),
            keys: None,
            oidc_algorithm: Algorithm::default(),
            audiences: BTreeSet::from(["sts.amazonaws.com".to_owned()]),
            chain_ids: BTreeSet::from([1, 8453, 84532]),
            trusted_proxies: BTreeSet::new(),
            sign_in: AllowList::default(),
            mail: Mail::default(),
            limits: Limits::default(),
            sessions: Sessions::default(),
            providers: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Reads the settings of a TOML document.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what no single field can: off loopback, nothing may be left to a development default.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.audiences.is_empty()
            || self.audiences.iter().any(|audience| audience.is_empty() || audience.len() > 255)
        {
            return Err(ConfigError::Value("`audiences` needs at least one name of 1 to 255 characters"));
        }
        if self.chain_ids.is_empty() || self.chain_ids.contains(&0) {
            return Err(ConfigError::Value("`chain_ids` needs at least one id, and 0 is none"));
        }
        if self.limits.any_zero() {
            return Err(ConfigError::Value("`limits` must all be at least 1"));
        }
        self.sessions.check()?;
        if self.mail.username.is_some() != self.mail.password_file.is_some() {
            return Err(ConfigError::Value("`mail.username` and `mail.password_file` go together"));
        }
        if self.sign_in.providers().any(|provider| !self.providers.contains_key(provider)) {
            return Err(ConfigError::Value("`sign_in.allow` names a provider that is not under `providers`"));
        }
        if self.mail.queue == 0 {
            return Err(ConfigError::Value("`mail.queue` must be at least 1"));
        }
        if self.is_loopback() {
            return Ok(());
        }
        match &self.issuer {
            None => return Err(ConfigError::Value("off loopback `issuer` must be set")),
            Some(issuer) if issuer.is_loopback() => {
                return Err(ConfigError::Value("off loopback `issuer` must be a URL that clouds can reach"));
            }
            Some(_) => {}
        }
        if self.sign_in.is_empty() {
            return Err(ConfigError::Value("off loopback `sign_in.allow` must say who may sign in"));
        }
        if self.mail.smtp == Mail::default().smtp {
            return Err(ConfigError::Value("off loopback `mail.smtp` must be set"));
        }
        Ok(())
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.listen.ip().is_loopback() && self.issuer.as_ref().is_none_or(Issuer::is_loopback)
    }

    /// The folder of the signing keys.
    pub fn keys_folder(&self) -> PathBuf {
        self.keys.clone().unwrap_or_else(|| self.state.join("keys"))
    }
}

/// Why the settings are not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not TOML, or has a setting that does not exist or is of another type.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// A provider cannot be used as the settings say.
    #[error("`providers.{name}`: {error}")]
    Provider {
        /// Which one.
        name: ProviderName,
        /// Why.
        error: SettingsError,
    },
    /// A setting has a value that cannot be worked with.
    #[error("{0}")]
    Value(&'static str),
}

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

/// An OpenID Provider with which people may sign in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its issuer, exactly as it says itself.
    pub issuer: String,
    /// The name that this broker has there.
    pub client_id: String,
    /// The file that holds the client secret, readable by the broker alone; none for a public client.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// What the button says; by default the provider's name.
    #[serde(default)]
    pub label: Option<String>,
    /// The parameter `prompt` (OpenID Connect Core section 3.1.2.1).
    #[serde(default)]
    pub prompt: Option<String>,
}

/// How often things may happen.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sign-in mails to one address in an hour.
    pub mails_per_address_and_hour: u32,
    /// Sign-in mails asked for from one network address in an hour.
    pub mails_per_source_and_hour: u32,
    /// Sign-in mails in an hour, all together.
    pub mails_per_hour: u32,
    /// Codes typed from one network address in an hour, right or wrong.
    pub codes_per_source_and_hour: u32,
    /// Codes typed in an hour, all together.
    pub codes_per_hour: u32,
    /// Sign-ins in a browser and on a device begun from one network address in an hour.
    pub sign_ins_per_source_and_hour: u32,
    /// Sign-ins in a browser and on a device begun in an hour, all together.
    pub sign_ins_per_hour: u32,
    /// Identities that one account asks to link in an hour.
    pub links_per_account_and_hour: u32,
    /// Web-identity JWTs of one account in a minute.
    pub mints_per_account_and_minute: u32,
}

impl Limits {
    fn any_zero(self) -> bool {
        let all = [
            self.mails_per_address_and_hour,
            self.mails_per_source_and_hour,
            self.mails_per_hour,
            self.codes_per_source_and_hour,
            self.codes_per_hour,
            self.sign_ins_per_source_and_hour,
            self.sign_ins_per_hour,
            self.links_per_account_and_hour,
            self.mints_per_account_and_minute,
        ];
        all.contains(&0)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mails_per_address_and_hour: 5,
            mails_per_source_and_hour: 20,
            mails_per_hour: 1000,
            codes_per_source_and_hour: 100,
            codes_per_hour: 10_000,
            sign_ins_per_source_and_hour: 60,
            sign_ins_per_hour: 5000,
            links_per_account_and_hour: 10,
            mints_per_account_and_minute: 600,
        }
    }
}

/// How long sessions stand.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// For how many days a token of a session that is bound to a device key counts.
    pub days: u16,
    /// After how many days a person must sign in again, however often the token was renewed.
    pub absolute_days: u16,
    /// For how many hours a session without a device key stands; 0 refuses to open one.
    pub unbound_hours: u16,
}

impl Sessions {
    fn check(self) -> Result<(), ConfigError> {
        if !(1..=30).contains(&self.days) {
            return Err(ConfigError::Value("`sessions.days` must be 1 to 30"));
        }
        if self.absolute_days < self.days || self.absolute_days > 365 {
            return Err(ConfigError::Value(
                "`sessions.absolute_days` must be at least `sessions.days`, and at most 365",
            ));
        }
        if self.unbound_hours > 24 {
            return Err(ConfigError::Value(
                "`sessions.unbound_hours` must be at most 24: whoever has the token of such a session is the person",
            ));
        }
        Ok(())
    }

    /// For how long a token counts, by whether it is bound to a device key.
    pub(crate) fn life(self, is_bound: bool) -> Duration {
        let hours = if is_bound { u64::from(self.days) * 24 } else { self.unbound_hours.into() };
        Duration::from_hours(hours)
    }

    /// How long renewals can make it.
    pub(crate) fn absolute_life(self) -> Duration {
        Duration::from_hours(u64::from(self.absolute_days) * 24)
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self { days: 30, absolute_days: 180, unbound_hours: 8 }
    }
}

/// `docs/reference/settings.md`: every setting with its default and meaning.
pub fn settings_page() -> String {
    let mut page =
        "# Settings of the broker\n\nOne TOML file, given by `--config`. Everything is optional on loopback; \
                    an unknown setting is refused by name.\n\n| setting | default | meaning |\n|---|---|---|\n"
            .to_owned();
    for (name, default, meaning) in SETTINGS {
        let _ = writeln!(page, "| `{name}` | {default} | {meaning} |");
    }
    page
}

const SETTINGS: &[(&str, &str, &str)] = &[
    ("listen", "127.0.0.1:8470", "Where to listen."),
    ("metrics_listen", "127.0.0.1:9470", "Where Prometheus finds the metrics."),
    ("issuer", "that of `listen`", "The URL under which clouds find the signing keys. Off loopback: https, no port."),
    ("client_id", "agentkeys", "The deployment's namespace. Every account depends on it: it cannot be changed later."),
    ("state", "/var/lib/agentkeys", "The folder of the store and the signing keys."),
    ("keys", "`keys` inside `state`", "The folder of the signing keys, made at first start."),
    (
        "oidc_algorithm",
        "ES256",
        "How web-identity JWTs are signed: `ES256`, or `RS256` for relying parties that know nothing else.",
    ),
    ("audiences", "[\"sts.amazonaws.com\"]", "For whom web-identity JWTs may be minted."),
    ("chain_ids", "[1, 8453, 84532]", "The chains that a wallet challenge may name (EIP-155 ids)."),
    ("trusted_proxies", "[]", "The proxies whose `X-Forwarded-For` is believed."),
    (
        "sign_in.allow",
        "[]: anyone, on loopback only",
        "Who may sign in: addresses (`ada@example.com`), domains (`@example.com`), providers (`oauth2_google`), their \
         people with a verified address in a domain (`oauth2_google:@example.com`), single subjects (`oauth2_google:1234`).",
    ),
    (
        "providers.NAME.issuer",
        "must be set",
        "An OpenID Provider, such as `https://accounts.google.com`: exactly its `issuer`.",
    ),
    ("providers.NAME.client_id", "must be set", "The name that this broker has at the provider."),
    ("providers.NAME.client_secret_file", "none: a public client", "The file that holds the client secret, mode 600."),
    ("providers.NAME.label", "NAME", "What the button says."),
    ("providers.NAME.prompt", "none", "The parameter `prompt`, such as `select_account`."),
    (
        "mail.smtp",
        "smtp://127.0.0.1:8473",
        "The SMTP server: `smtp://` (loopback only), `smtp://…?tls=required` for STARTTLS, `smtps://` for TLS.",
    ),
    ("mail.from", "AgentKeys <agentkeys@localhost>", "The sender."),
    ("mail.username", "none", "The user name at the SMTP server."),
    ("mail.password_file", "none", "The file that holds the password, mode 600."),
    (
        "mail.ca_file",
        "none",
        "A PEM file of certificate authorities to trust beside those of the system, for a mail server of your own.",
    ),
    ("mail.queue", "1000", "How many mails may wait to leave before no more sign-in mails are taken."),
    ("limits.mails_per_address_and_hour", "5", "Sign-in mails to one address in an hour."),
    ("limits.mails_per_source_and_hour", "20", "Sign-in mails asked for from one network address in an hour."),
    ("limits.mails_per_hour", "1000", "Sign-in mails in an hour, all together."),
    ("limits.codes_per_source_and_hour", "100", "Codes typed from one network address in an hour, right or wrong."),
    ("limits.codes_per_hour", "10000", "Codes typed in an hour, all together."),
    (
        "limits.sign_ins_per_source_and_hour",
        "60",
        "Sign-ins in a browser and on a device begun from one network address in an hour.",
    ),
    ("limits.sign_ins_per_hour", "5000", "Sign-ins in a browser and on a device begun in an hour, all together."),
    ("limits.links_per_account_and_hour", "10", "Identities that one account asks to link in an hour."),
    ("limits.mints_per_account_and_minute", "600", "Web-identity JWTs of one account in a minute."),
    ("sessions.days", "30", "For how many days a token that is bound to a device key counts; 30 at most."),
    (
        "sessions.absolute_days",
        "180",
        "After how many days a person must sign in again, however often the token was renewed.",
    ),
    (
        "sessions.unbound_hours",
        "8",
        "For how many hours a session without a device key stands (`--no-bind`); 24 at most, and 0 refuses to open one.",
    ),
];

#[cfg(test)]
mod tests {
    use agentkeys_types::Identity;

    use super::*;

    fn refusal(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_needs_to_be_set_on_loopback() {
        assert_eq!(Config::parse("").unwrap().listen.port(), 8470);
    }

    #[test]
    fn a_misspelt_setting_is_refused_by_name() {
        assert!(refusal("lisen = \"127.0.0.1:1\"").contains("lisen"));
        assert!(refusal("[limits]\nmails = 3").contains("mails"));
    }

    #[test]
    fn an_algorithm_that_is_none_of_ours_is_refused_by_name() {
        assert_eq!(Config::parse("oidc_algorithm = \"RS256\"").unwrap().oidc_algorithm, Algorithm::Rs256);
        for other in ["none", "HS256", "rs256", ""] {
            assert!(refusal(&format!("oidc_algorithm = \"{other}\"")).contains("ES256"), "{other}");
        }
    }

    #[test]
    fn the_reference_names_every_setting() {
        for (name, _, _) in SETTINGS {
            let (table, key) =
                name.rsplit_once('.').map_or((String::new(), *name), |(table, key)| (format!("[{table}]\n"), key));
            let text = format!("{table}{key} = {{}}");
            assert!(!refusal(&text).contains("unknown field"), "{name}");
        }
    }

    #[test]
    fn mail_settings_that_cannot_work_are_refused() {
        assert!(refusal("[mail]\nqueue = 0").contains("mail.queue"));
        assert!(refusal("[mail]\nusername = \"broker\"").contains("mail.password_file"));
    }

    #[test]
    fn a_session_without_a_device_key_stands_for_hours_at_most() {
        assert!(refusal("[sessions]\nunbound_hours = 25").contains("unbound_hours"));
        assert!(refusal("[sessions]\ndays = 31").contains("days"));
        assert!(refusal("[sessions]\nabsolute_days = 29").contains("absolute_days"));
        assert_eq!(Config::parse("[sessions]\nunbound_hours = 0").unwrap().sessions.life(false), Duration::ZERO);
    }

    #[test]
    fn off_loopback_nothing_is_left_to_a_default() {
        let listen = "listen = \"0.0.0.0:443\"\n";
        let issuer = format!("{listen}issuer = \"https://broker.example.com\"\n");
        let allow = format!("{issuer}[sign_in]\nallow = [\"@example.com\", \"grace@example.org\"]\n");
        let mail = format!("{allow}[mail]\nsmtp = \"smtps://mail.example.com\"\n");

        assert!(refusal(listen).contains("issuer"));
        assert!(refusal(&format!("{listen}issuer = \"http://127.0.0.1:8470\"")).contains("issuer"));
        assert!(refusal(&issuer).contains("sign_in.allow"));
        assert!(refusal(&allow).contains("mail.smtp"));
        assert!(
            Config::parse(&mail).unwrap().sign_in.allows(&Identity::email("ada@example.com".parse().unwrap()), None)
        );
    }
}
