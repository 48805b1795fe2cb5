use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use agentkeys_crypto::private_file;
use agentkeys_types::{OmniAccount, Timestamp};
use serde::{Deserialize, Serialize};

use super::Examined;
use crate::{Places, ProfileName, ServerUrl};

/// For how long another process may hold the lock: it writes one small file meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
const NEXT_TRY: Duration = Duration::from_millis(10);

/// What a profile remembers of the signers that it has accepted: a file that only its owner may read.
#[derive(Clone, Debug)]
pub struct KeptAttestations {
    path: PathBuf,
}

/// What is remembered of one signer. None of it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptSigner {
    /// The highest version of a policy that accepted it.
    pub policy_version: u64,
    /// What vouched for it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The release that it was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// When it was last accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// The name of its attestation key, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ak_name: Option<String>,
    /// The highest boot counter that came with that key: its TPM's own, which only an old state of it would show lower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_counter: Option<u64>,
    /// The SHA-256 of the endorsement key, hex, whose TPM has proved that it holds that one; nothing where the policy
    /// named the attestation key itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ek_sha256: Option<String>,
    /// The public key that only its master secret gives, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_pub: Option<String>,
    /// The verifier key of its signing log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_vkey: Option<String>,
    /// The latest checkpoint of its signing log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// The devices of the account, as it told them last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<KeptDevices>,
}

impl KeptSigner {
    /// Takes over what evidence has shown, unless something else was remembered meanwhile.
    pub(super) fn accept(&mut self, examined: &Examined) -> Result<(), (&'static str, String)> {
        let bound = &examined.bound;
        if examined.policy_version < self.policy_version {
            return Err(("policy_version", format!("a policy of version {} has accepted it", self.policy_version)));
        }
        pin(&mut self.identity_pub, Some(&bound.identity_pub))
            .map_err(|()| ("identity", "its master secret is not the one that was seen before".to_owned()))?;
        pin(&mut self.log_vkey, Some(&bound.log_vkey))
            .map_err(|()| ("log", "its signing log has another key than before".to_owned()))?;
        pin(&mut self.ak_name, examined.ak_name.as_ref())
            .map_err(|()| ("attestation_key", "its attestation key is not the one that was seen before".to_owned()))?;
        if examined.ak_name.is_some() {
            self.boot_counter = self.boot_counter.max(Some(bound.boot_counter));
        }
        self.ek_sha256.clone_from(&examined.ek_sha256);
        self.policy_version = examined.policy_version;
        self.backend = serde_json::to_value(examined.backend).ok().and_then(|name| name.as_str().map(str::to_owned));
        self.release.clone_from(&examined.release);
        self.accepted_at = Some(examined.examined_at);
        Ok(())
    }

    /// Refuses evidence of an earlier start than this was remembered of, before the evidence was asked for.
    ///
    /// Where no attestation key names the TPM that counts, another machine may have the master secret, and counts anew.
    pub(super) fn check_boot(&self, examined: &Examined) -> Result<(), (&'static str, String)> {
        let shown = examined.bound.boot_counter;
        match self.boot_counter {
            Some(seen) if examined.ak_name.is_some() && examined.ak_name == self.ak_name && shown < seen => {
                let fault =
                    format!("its boot counter is {shown}, and was {seen} before: an old state was brought back");
                Err(("boot_counter", fault))
            }
            _ => Ok(()),
        }
    }
}

/// Trusts on first use, and keeps to it.
fn pin(known: &mut Option<String>, shown: Option<&String>) -> Result<(), ()> {
    match (known.as_ref(), shown) {
        (Some(known), Some(shown)) if known != shown => Err(()),
        (None, Some(shown)) => {
            *known = Some(shown.clone());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The devices of one account, as a signer told them last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptDevices {
    /// Whose.
    pub account: OmniAccount,
    /// The signer's number for this state.
    pub revision: u64,
    /// The thumbprints of their keys.
    pub keys: BTreeSet<String>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    signers: BTreeMap<String, KeptSigner>,
}

impl KeptAttestations {
    /// What the profile remembers in these places.
    pub fn of(places: &Places, profile: &ProfileName) -> Self {
        Self { path: places.attestations(profile) }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is remembered of the signer at `url`; nothing, where it was never accepted.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or says something else: what it held is not known, so nothing is trusted anew.
    pub fn read(&self, url: &ServerUrl) -> io::Result<Option<KeptSigner>> {
        Ok(self.page()?.signers.remove(&url.to_string()))
    }

    /// The highest version of a policy that accepted any signer; 0, where none was ever accepted.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn highest_policy_version(&self) -> io::Result<u64> {
        Ok(self.page()?.signers.values().map(|signer| signer.policy_version).max().unwrap_or_default())
    }

    /// Changes what is remembered of the signer at `url`: what `change` made of it is on disk when this returns.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read); [`io::ErrorKind::WouldBlock`] where another process holds its lock for too long.
    pub fn change<T>(&self, url: &ServerUrl, change: impl FnOnce(&mut KeptSigner) -> T) -> io::Result<T> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        private_file::create_folder(folder)?;
        let _lock = self.lock()?;
        let mut page = self.page()?;
        let signer = page.signers.entry(url.to_string()).or_default();
        let before = signer.clone();
        let outcome = change(signer);
        if *signer != before {
            private_file::replace(&self.path, &serde_json::to_vec_pretty(&page).map_err(io::Error::other)?)?;
        }
        Ok(outcome)
    }

    fn page(&self) -> io::Result<Page> {
        match private_file::read(&self.path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Page::default()),
            Err(error) => Err(error),
        }
    }

    /// Whoever changes the file holds this.
    fn lock(&self) -> io::Result<File> {
        let lock = self.open_lock()?;
        let asked = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) if asked.elapsed() < PATIENCE => sleep(NEXT_TRY),
                Err(TryLockError::WouldBlock) => {
                    let path = self.lock_path();
                    let reason = format!("another process holds `{}`, for {PATIENCE:?} by now", path.display());
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, reason));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    fn open_lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.lock_path())
    }
}
