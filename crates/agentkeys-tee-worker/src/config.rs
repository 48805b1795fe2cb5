mod endorsements;
mod reference;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use agentkeys_signer::{BrokerStanding, Purpose};
use reqwest::Url;
use serde::Deserialize;

pub use self::{endorsements::EndorsementFiles, reference::settings_page};

/// The most recipients that a backup can have.
const MOST_RECIPIENTS: usize = 32;

/// Why a configuration is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{} could not be read ({source}): name another file with --config", file.display())]
    File {
        /// Where it should be.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a configuration.
    #[error("{}: {source}", file.display())]
    Format {
        /// Where it is.
        file: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// Settings that cannot be right, or not together.
    #[error("{setting}: {reason}")]
    Setting {
        /// The one to change.
        setting: &'static str,
        /// Why, and what to write instead.
        reason: String,
    },
}

/// The worker's settings, as read from one file, which is part of what is measured. There is no secret in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens, over TLS alone.
    #[serde(default = "Config::default_listen")]
    pub listen: SocketAddr,
    /// The URL under which clients know it: the proofs of their requests name it.
    pub public_url: Option<Url>,
    /// The broker whose sessions count: the exact `iss` of their tokens.
    pub broker_url: String,
    /// The folder of the sealed master secret and of the signing log.
    #[serde(default = "Config::default_state")]
    pub state: PathBuf,
    /// Where the TPM is: a device, `unix:PATH` or `tcp:HOST:PORT`.
    #[serde(default = "Config::default_tpm")]
    pub tpm: String,
    /// What keeps the master secret.
    #[serde(default)]
    pub sealer: SealerKind,
    /// What shows where the worker runs.
    #[serde(default)]
    pub attester: AttesterKind,
    /// How often a release before this one had to be locked out: what its approvals must be for.
    #[serde(default)]
    pub epoch: u32,
    /// The files in which the release key approves this image.
    #[serde(default)]
    pub approvals: Vec<PathBuf>,
    /// The release key: P-256, SEC1, uncompressed, 130 hex digits.
    pub release_key: Option<String>,
    /// The name of the signing log, such as `signer.example/log`.
    pub log_origin: String,
    /// The chains that a challenge may name (EIP-155).
    #[serde(default)]
    pub chain_ids: Vec<u64>,
    /// Signs any message, and says so in its evidence.
    #[serde(default)]
    pub allow_any_message: bool,
    /// How many messages are signed in a minute for one account.
    #[serde(default = "Config::default_signings_per_minute")]
    pub signings_per_minute: u32,
    /// Refuses to start where the kernel cannot confine it.
    #[serde(default = "Config::default_require_sandbox")]
    pub require_sandbox: bool,
    /// What vouches for the platform, where the platform does not have it.
    #[serde(default)]
    pub endorsements: EndorsementFiles,
    /// Who could restore the master secret.
    pub backup: Option<Backup>,
}

/// What keeps the master secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SealerKind {
    /// The TPM.
    #[default]
    Tpm2,
    /// Nothing: it is restored at each start.
    None,
}

/// What shows where the worker runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttesterKind {
    /// The TPM.
    #[default]
    Tpm2,
    /// AMD SEV-SNP, by configfs-tsm.
    SevSnp,
    /// Intel TDX, by configfs-tsm.
    Tdx,
}

/// Who could restore the master secret, and which one is restored.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The public keys of those who get a share at first boot: X25519, 64 hex digits each.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// How many of them it takes.
    #[serde(default)]
    pub threshold: u8,
    /// The identity that is restored here instead of making one: 66 hex digits.
    pub restore_identity: Option<String>,
    /// Begins a new log where a restoration finds none: every account's pinned devices are forgotten then.
    #[serde(default)]
    pub restore_without_log: bool,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(file).map_err(|source| ConfigError::File { file: file.to_owned(), source })?;
        toml::from_str(&text).map_err(|source| ConfigError::Format { file: file.to_owned(), source: Box::new(source) })
    }

    /// Refuses what cannot work, with the setting to change.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_urls()?;
        self.check_platform()?;
        self.endorsements.check(self.attester)?;
        if self.chain_ids.is_empty() && !self.allow_any_message {
            return Err(refused("chain_ids", "name the chains of your broker's challenges, such as [1]"));
        }
        if self.signings_per_minute == 0 {
            return Err(refused("signings_per_minute", "0 would refuse every signing: 600 is the default"));
        }
        let is_origin = |text: &str| {
            !text.is_empty() && text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+')
        };
        if !is_origin(&self.log_origin) {
            return Err(refused("log_origin", "a name without spaces and `+`, such as `signer.example/log`"));
        }
        self.backup.as_ref().map_or(Ok(()), Backup::check)
    }

    /// What it signs.
    pub fn purpose(&self) -> Purpose {
        if self.allow_any_message {
            Purpose::AnyMessage
        } else {
            Purpose::WalletProof { chain_ids: self.chain_ids.clone() }
        }
    }

    /// The identity that is restored here, if one is.
    pub fn restore_identity(&self) -> Option<&str> {
        self.backup.as_ref()?.restore_identity.as_deref()
    }

    fn check_urls(&self) -> Result<(), ConfigError> {
        if let Some(url) = &self.public_url
            && (url.scheme() != "https" || url.path() != "/" || url.query().is_some())
        {
            return Err(refused("public_url", "it must be https://, with nothing after the host and port"));
        }
        if self.public_url.is_none() && self.listen.ip().is_unspecified() {
            return Err(refused(
                "public_url",
                "it must be set where `listen` is every address: clients know it by one",
            ));
        }
        let broker: Option<Url> = self.broker_url.parse().ok().filter(|_| !self.broker_url.ends_with('/'));
        let broker = broker.ok_or_else(|| {
            refused("broker_url", "the broker's `issuer` exactly as it is set there, without a slash at its end")
        })?;
        BrokerStanding::new(&broker).map(drop).map_err(|error| refused("broker_url", &error.to_string()))
    }

    fn check_platform(&self) -> Result<(), ConfigError> {
        match self.sealer {
            SealerKind::Tpm2 if self.approvals.is_empty() => {
                Err(refused("approvals", "name the file in which your release key approves this image"))
            }
            SealerKind::Tpm2 if self.release_key.is_none() => {
                Err(refused("release_key", "the public release key is needed: 130 hex digits"))
            }
            SealerKind::None if self.restore_identity().is_none() => Err(refused(
                "sealer",
                "SEV-SNP, TDX and Nitro keep no secret by themselves here: use a TPM (`sealer = \"tpm2\"`), or have the \
                 secret restored at each start (`backup.restore_identity`)",
            )),
            SealerKind::None if self.attester == AttesterKind::Tpm2 => {
                Err(refused("sealer", "where there is a TPM, it keeps the secret: `sealer = \"tpm2\"`"))
            }
            _ => Ok(()),
        }
    }

    fn default_listen() -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0], 8475))
    }

    fn default_signings_per_minute() -> u32 {
        600
    }

    fn default_state() -> PathBuf {
        "/var/lib/agentkeys-worker".into()
    }

    fn default_tpm() -> String {
        "/dev/tpmrm0".to_owned()
    }

    fn default_require_sandbox() -> bool {
        true
    }
}

impl Backup {
    /// The keys of the recipients, which `check` has found to be keys.
    pub(crate) fn recipient_keys(&self) -> Vec<[u8; 32]> {
        let key = |recipient: &String| hex::decode(recipient).ok()?.try_into().ok();
        self.recipients.iter().filter_map(key).collect()
    }

    fn check(&self) -> Result<(), ConfigError> {
        if let Some(identity) = &self.restore_identity
            && !is_hex_of(33, identity)
        {
            return Err(refused("backup.restore_identity", "the `identity_pub` of a share: 66 hex digits"));
        }
        if self.restore_without_log && self.restore_identity.is_none() {
            return Err(refused("backup.restore_without_log", "it is for a restoration: set `restore_identity`, too"));
        }
        if self.recipients.is_empty() && self.restore_identity.is_some() {
            return Ok(());
        }
        if let Some(recipient) = self.recipients.iter().find(|recipient| !is_hex_of(32, recipient)) {
            let reason = format!("`{recipient}` is not what `agentkeys backup keygen` prints: 64 hex digits");
            return Err(refused("backup.recipients", &reason));
        }
        let mut distinct = self.recipients.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() != self.recipients.len() {
            return Err(refused("backup.recipients", "each may have one share only"));
        }
        if usize::from(self.threshold) < 2 || usize::from(self.threshold) > self.recipients.len() {
            return Err(refused("backup.threshold", "at least 2, and no more than there are recipients"));
        }
        if self.recipients.len() > MOST_RECIPIENTS {
            return Err(refused("backup.recipients", "32 at most"));
        }
        Ok(())
    }
}

fn is_hex_of(bytes: usize, text: &str) -> bool {
    hex::decode(text).is_ok_and(|decoded| decoded.len() == bytes)
}

fn refused(setting: &'static str, reason: &str) -> ConfigError {
    ConfigError::Setting { setting, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
