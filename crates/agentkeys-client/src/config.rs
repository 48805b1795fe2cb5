mod aws;
mod daemon;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use self::{
    aws::{AwsSettings, RoleSettings},
    daemon::{DaemonSettings, TokenFileSettings},
};
use crate::{ProfileName, ServerUrl, StoreChoice};

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

    /// What is taken for a genuine signer; `attestation-policy.toml` beside the settings by default, where there is one.
    #[serde(default)]
    pub attestation_policy: Option<PathBuf>,

    /// The key that must have signed that policy: the hex of its point, or a file with its PEM.
    #[serde(default)]
    pub release_key: Option<String>,

    /// Where the session is kept; where the last sign-in put it by default.
    #[serde(default)]
    pub store: Option<StoreChoice>,

    /// The role in AWS.
    #[serde(default)]
    pub aws: AwsSettings,

    /// The daemon.
    #[serde(default)]
    pub daemon: DaemonSettings,
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
        config.default.check()?;
        for (name, section) in profiles {
            let section_name = format!("profiles.{name}");
            let settings: Settings = section.try_into().map_err(|error| in_section(&section_name, &error))?;
            settings.check().map_err(|error| format!("[{section_name}]: {error}"))?;
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
    /// Checks what no single field can.
    fn check(&self) -> Result<(), String> {
        self.aws.check()?;
        self.daemon.check()
    }

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
            attestation_policy: None,
            release_key: None,
            store: None,
            aws: AwsSettings::default(),
            daemon: DaemonSettings::default(),
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
    fn a_role_is_as_the_default_one_in_what_it_does_not_say() {
        let config = Config::parse(
            r#"
            [aws]
            role_arn = "arn:aws:iam::123456789012:role/agents"
            region = "eu-west-1"
            session_name = "{agent}"
            [aws.roles.read]
            role_arn = "arn:aws:iam::123456789012:role/read"
            duration_seconds = 3600
            session_policy = '{"Version": "2012-10-17", "Statement": []}'
            "#,
        )
        .unwrap();
        let aws = config.profile(&ProfileName::default()).aws;

        let read = aws.role(&"read".parse().unwrap()).unwrap();

        assert_eq!(aws.roles().iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), ["default", "read"]);
        assert_eq!((read.region.as_str(), read.duration.as_secs()), ("eu-west-1", 3600));
        assert_eq!(read.session_name, "{agent}".parse().unwrap());
        assert_eq!(read.session_policy.unwrap().as_str(), r#"{"Version":"2012-10-17","Statement":[]}"#);
        assert!(aws.role(&"write".parse().unwrap()).is_none());
    }

    #[test]
    fn an_sts_of_your_own_may_give_credentials_for_less_than_aws_does() {
        let settings = "[aws]\nduration_seconds = 5\nendpoint_url = 'http://127.0.0.1:8472'";

        let settings = Config::parse(settings).unwrap().profile(&ProfileName::default());

        assert_eq!(settings.aws.duration_seconds.as_secs(), 5);
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
            ("[aws.roles.read]\nrole_arn = 'arn:aws:iam::1:role/r234567'\nduration_seconds = 60", "900"),
            ("[aws.roles.default]\nrole_arn = 'arn:aws:iam::1:role/r234567'", "aws.roles.default"),
            ("[aws]\nsession_name = 'a b'", "{wallet}"),
            ("[daemon]\nlisten = '0.0.0.0:8474'", "127.0.0.1"),
            ("[daemon.token_files.a]\npath = 'a'", "absolute"),
            ("store = 'cloud'", "keychain, file or memory"),
        ] {
            let error = Config::parse(text).unwrap_err();

            assert!(error.contains(named), "{error}");
        }
    }
}
