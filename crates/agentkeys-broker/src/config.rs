mod limits;
mod mail;
mod provider;
mod reference;
mod sessions;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use agentkeys_crypto::Algorithm;
use agentkeys_provider::SettingsError;
use agentkeys_types::{ClientId, ProviderName};
use serde::Deserialize;

pub use self::{limits::Limits, mail::Mail, provider::ProviderConfig, reference::settings_page, sessions::Sessions};
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentkeys_types::Identity;

    use super::{reference::SETTINGS, *};

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
