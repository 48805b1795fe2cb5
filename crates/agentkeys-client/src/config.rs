use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use agentkeys_api::{Audience, DaemonCredentials};
use agentkeys_types::{AgentName, AwsCredentials, EvmAddress, OmniAccount, RoleName};
use serde::Deserialize;

use crate::{
    ProfileName, Region, Role, RoleArn, ServerUrl, SessionDuration, SessionNamePattern, SessionPolicy, StoreChoice,
};

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

    /// The daemon.
    #[serde(default)]
    pub daemon: DaemonSettings,
}

/// The `[aws]` section: the default role, where, and for how long at a time; further roles below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsSettings {
    /// The role that the wallet assumes.
    #[serde(default)]
    pub role_arn: Option<RoleArn>,

    /// The region of the STS, and of the programs that get the credentials; `us-east-1` by default.
    #[serde(default)]
    pub region: Region,

    /// For how many seconds credentials live; 900 by default. Less than 900 only where `endpoint_url` is set.
    #[serde(default)]
    pub duration_seconds: SessionDuration,

    /// An STS and S3 other than Amazon's own.
    #[serde(default)]
    pub endpoint_url: Option<ServerUrl>,

    /// What AWS's logs call the session: `{wallet}` and `{agent}` stand for those of the session; `{wallet}` by
    /// default.
    #[serde(default)]
    pub session_name: SessionNamePattern,

    /// An IAM policy in JSON that narrows what the credentials may do.
    #[serde(default)]
    pub session_policy: Option<SessionPolicy>,

    /// Further roles, by the name under which programs ask for them.
    #[serde(default)]
    pub roles: BTreeMap<RoleName, RoleSettings>,
}

/// A section `[aws.roles.NAME]`: what it does not say is as in `[aws]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSettings {
    /// The role that the wallet assumes.
    pub role_arn: RoleArn,

    /// The region of the STS, and of the programs that get the credentials.
    #[serde(default)]
    pub region: Option<Region>,

    /// For how many seconds credentials live.
    #[serde(default)]
    pub duration_seconds: Option<SessionDuration>,

    /// What AWS's logs call the session.
    #[serde(default)]
    pub session_name: Option<SessionNamePattern>,

    /// An IAM policy in JSON that narrows what the credentials may do.
    #[serde(default)]
    pub session_policy: Option<SessionPolicy>,
}

impl AwsSettings {
    /// The role of that name, if there is one.
    pub fn role(&self, name: &RoleName) -> Option<Role> {
        let base = |role_arn: &RoleArn| Role {
            name: name.clone(),
            role_arn: role_arn.clone(),
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
            duration: self.duration_seconds,
            session_name: self.session_name.clone(),
            session_policy: self.session_policy.clone(),
        };
        if name.is_default() {
            return self.role_arn.as_ref().map(base);
        }
        let RoleSettings { role_arn, region, duration_seconds, session_name, session_policy } = self.roles.get(name)?;
        let base = base(role_arn);
        Some(Role {
            region: region.clone().unwrap_or(base.region),
            duration: duration_seconds.unwrap_or(base.duration),
            session_name: session_name.clone().unwrap_or(base.session_name),
            session_policy: session_policy.clone().or(base.session_policy),
            ..base
        })
    }

    /// Every role, the default one first.
    pub fn roles(&self) -> Vec<Role> {
        let default = RoleName::default();
        [&default].into_iter().chain(self.roles.keys()).filter_map(|name| self.role(name)).collect()
    }

    fn check(&self) -> Result<(), String> {
        if self.roles.contains_key(&RoleName::default()) {
            return Err("[aws.roles.default]: the default role stands in [aws]".to_owned());
        }
        let is_short = |duration: SessionDuration| duration.is_below_the_floor_of_aws();
        let durations = self.roles.values().filter_map(|role| role.duration_seconds);
        if self.endpoint_url.is_none() && durations.chain([self.duration_seconds]).any(is_short) {
            return Err("[aws]: AWS credentials live from 900 to 43200 seconds".to_owned());
        }
        Ok(())
    }
}

/// The `[daemon]` section: where it listens besides its socket, and whom it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonSettings {
    /// The address of 127.0.0.1 at which AWS SDKs find credentials over HTTP, such as `127.0.0.1:8474`; none by
    /// default.
    #[serde(default)]
    pub listen: Option<SocketAddr>,

    /// The programs that the socket answers, by their paths; all of this user's by default.
    #[serde(default)]
    pub allow_executables: Option<BTreeSet<PathBuf>>,

    /// Further users, by their numbers, that agents' own sockets answer; only this user's by default.
    #[serde(default)]
    pub allow_uids: BTreeSet<u32>,

    /// Files with a JWT that the daemon keeps fresh, by a name of your choice.
    #[serde(default)]
    pub token_files: BTreeMap<String, TokenFileSettings>,
}

/// A section `[daemon.token_files.NAME]`: a file with a web-identity JWT.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFileSettings {
    /// Where it lies.
    pub path: PathBuf,

    /// Whom the JWT is for; `sts.amazonaws.com` by default.
    #[serde(default = "Audience::aws_sts")]
    pub audience: Audience,

    /// The agent that it names; none by default.
    #[serde(default)]
    pub agent: Option<AgentName>,
}

impl DaemonSettings {
    fn check(&self) -> Result<(), String> {
        match self.listen {
            Some(address) if address.ip() != Ipv4Addr::LOCALHOST => {
                Err("[daemon]: `listen` must be an address of 127.0.0.1: AWS SDKs send their token to no other"
                    .to_owned())
            }
            _ if self.token_files.values().any(|file| !file.path.is_absolute()) => {
                Err("[daemon.token_files]: `path` must be absolute".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Role {
    /// Credentials of this role as an agent gets them, with where they work and whose they are.
    pub fn hand_out(
        &self,
        credentials: AwsCredentials,
        wallet: EvmAddress,
        account: OmniAccount,
        agent: Option<AgentName>,
    ) -> DaemonCredentials {
        DaemonCredentials {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
            expires_at: credentials.expires_at,
            region: self.region.to_string(),
            endpoint_url: self.endpoint_url.as_ref().map(ToString::to_string),
            role_arn: self.role_arn.to_string(),
            role: self.name.clone(),
            agent,
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
