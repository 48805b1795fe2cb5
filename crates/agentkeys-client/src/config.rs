use std::{collections::BTreeMap, fs, io, path::Path, path::PathBuf};

use agentkeys_api::DaemonCredentials;
use agentkeys_types::{AwsCredentials, EvmAddress, OmniAccount};
use serde::Deserialize;

use crate::{ProfileName, Region, RoleArn, ServerUrl, SessionDuration, StoreChoice};

/// A person's settings, as read from `config.toml`: the default profile at the top level, the others below it.
///
/// Nothing in it is secret, and every line of it is optional.
#[derive(Clone, Debug, Default)]
pub struct Config {
    default: Settings,
    profiles: BTreeMap<ProfileName, Settings>,
}

/// The settings of one profile.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The broker.
    #[serde(default = "Settings::default_broker_url")]
    pub broker_url: ServerUrl,

    /// The signer.
    #[serde(default = "Settings::default_signer_url")]
    pub signer_url: ServerUrl,

    /// Whether a signer on another machine may be used though nothing attests what runs there.
    #[serde(default)]
    pub allow_unattested_signer: bool,

    /// Where the session is kept; where the last sign-in put it by default.
    #[serde(default)]
    pub store: Option<StoreChoice>,

    /// The role in AWS.
    #[serde(default)]
    pub aws: AwsSettings,
}

/// The `[aws]` section: which role, where, and for how long at a time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsSettings {
    /// The role that the wallet assumes.
    #[serde(default)]
    pub role_arn: Option<RoleArn>,

    /// The region of the STS, and of the programs that get the credentials; `us-east-1` by default.
    #[serde(default)]
    pub region: Region,

    /// For how many seconds credentials live; 900 by default.
    #[serde(default)]
    pub duration_seconds: SessionDuration,

    /// An STS and S3 other than Amazon's own.
    #[serde(default)]
    pub endpoint_url: Option<ServerUrl>,
}

impl AwsSettings {
    /// Credentials of this role as an agent gets them, with where they work and whose they are.
    pub fn hand_out(&self, credentials: AwsCredentials, wallet: EvmAddress, account: OmniAccount) -> DaemonCredentials {
        DaemonCredentials {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
            expires_at: credentials.expires_at,
            region: self.region.to_string(),
            endpoint_url: self.endpoint_url.as_ref().map(ToString::to_string),
            role_arn: self.role_arn.as_ref().map(ToString::to_string).unwrap_or_default(),
            wallet,
            account,
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file says something that is no setting, or not one that can be.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Config {
    /// The settings in the file; the defaults where there is none.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|reason| ConfigError::Invalid { path: path.to_owned(), reason }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        }
    }

    /// The settings of a profile; the defaults where the file does not name it.
    pub fn profile(&self, name: &ProfileName) -> Settings {
        if name.is_default() {
            return self.default.clone();
        }
        self.profiles.get(name).cloned().unwrap_or_default()
    }

    /// Whether the file has this profile. The default one always exists.
    pub fn has_profile(&self, name: &ProfileName) -> bool {
        name.is_default() || self.profiles.contains_key(name)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut file: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let profiles = file.remove("profiles").unwrap_or_else(|| toml::Table::new().into());
        let profiles: BTreeMap<String, toml::Table> =
            profiles.try_into().map_err(|error| in_section("profiles", &error))?;
        let mut config = Self {
            default: file.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?,
            profiles: BTreeMap::new(),
        };
        for (name, section) in profiles {
            let section_name = format!("profiles.{name}");
            let settings = section.try_into().map_err(|error| in_section(&section_name, &error))?;
            let name: ProfileName = name.parse().map_err(|error| format!("[{section_name}]: {error}"))?;
            if name.is_default() {
                return Err("[profiles.default]: the default profile stands at the top level".to_owned());
            }
            config.profiles.insert(name, settings);
        }
        Ok(config)
    }
}

fn in_section(section: &str, error: &toml::de::Error) -> String {
    format!("[{section}]: {}", error.message())
}

impl Settings {
    fn default_broker_url() -> ServerUrl {
        "http://127.0.0.1:8470".parse().expect("a literal")
    }

    fn default_signer_url() -> ServerUrl {
        "http://127.0.0.1:8471".parse().expect("a literal")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            broker_url: Self::default_broker_url(),
            signer_url: Self::default_signer_url(),
            allow_unattested_signer: false,
            store: None,
            aws: AwsSettings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_means_the_defaults() {
        let settings = Config::parse("").unwrap().profile(&ProfileName::default());

        assert_eq!(settings.broker_url.to_string(), "http://127.0.0.1:8470");
        assert_eq!(settings.signer_url.to_string(), "http://127.0.0.1:8471");
        assert_eq!(settings.aws.region.as_str(), "us-east-1");
        assert_eq!(settings.aws.duration_seconds.as_secs(), 900);
    }

    #[test]
    fn the_top_level_is_the_default_profile_and_the_others_have_sections() {
        let config = Config::parse(
            r#"
            broker_url = "https://broker.example.com"
            [aws]
            role_arn = "arn:aws:iam::123456789012:role/agents"
            [profiles.work]
            broker_url = "https://broker.example.org"
            [profiles.work.aws]
            region = "eu-west-1"
            "#,
        )
        .unwrap();

        let work = config.profile(&"work".parse().unwrap());

        assert_eq!(config.profile(&ProfileName::default()).broker_url.to_string(), "https://broker.example.com");
        assert_eq!(
            (work.broker_url.to_string(), work.aws.region.as_str()),
            ("https://broker.example.org".to_owned(), "eu-west-1")
        );
        assert!(work.aws.role_arn.is_none());
    }

    #[test]
    fn a_misspelt_setting_is_refused_by_name() {
        for (text, named) in [
            ("brokerurl = 'x'", "brokerurl"),
            ("[aws]\nrole = 'x'", "role"),
            ("[profiles.work]\nbroker = 'x'", "profiles.work"),
            ("[profiles.Work]", "profiles.Work"),
            ("[profiles.default]", "top level"),
            ("broker_url = 'http://broker.example.com'", "https://"),
            ("[aws]\nduration_seconds = 60", "900"),
            ("store = 'cloud'", "keychain, file or memory"),
        ] {
            let error = Config::parse(text).unwrap_err();

            assert!(error.contains(named), "{error}");
        }
    }
}
