#[cfg(target_os = "linux")]
mod kernel;
#[cfg(not(target_os = "linux"))]
#[path = "file/no_kernel.rs"]
mod kernel;
mod key;
mod passphrase;
mod private;
#[cfg(unix)]
mod unseen;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use self::key::Key;
pub use self::passphrase::{PassphrasePrompt, TerminalPrompt};
pub(super) use self::private::PrivateFolder;
use super::{
    SessionTokenKeyStore, StorageError,
    blocking::{apart, within},
    kept::Kept,
};
use crate::{ProfileName, Session};

/// What an operator calls the key among the credentials of a systemd unit.
pub(super) const SYSTEMD_CREDENTIAL: &str = "agentkeys-session-key";
/// A credential with fewer bytes cannot have the entropy of a key.
const SHORTEST_KEY: usize = 32;
/// What the key is called in the kernel's keyring.
pub(super) const KERNEL_KEY: &str = "agentkeys:session-key";
/// A disk that hangs must not hang the command.
const LIMIT: Duration = Duration::from_secs(2);

/// Keeps each profile's session in a file that is encrypted with age: folder 0700, file 0600, written atomically.
///
/// There is always a key, so nothing is ever written in plain text. A `delete` overwrites the file with zeros; what
/// a file system that copies on write, a journal, an SSD or a backup may still hold is encrypted.
#[derive(Clone)]
pub struct FileStore {
    folder: PrivateFolder,
    profile: ProfileName,
    source: KeySource,
    /// Asked for once, so that a person types it once.
    key: Arc<Mutex<Option<Arc<Key>>>>,
}

/// Where the key comes from.
#[derive(Clone)]
pub(super) enum KeySource {
    /// A file that systemd decrypts for the unit.
    Systemd(PathBuf),
    /// The kernel's keyring of the user, and what the key is called there.
    Kernel(String),
    /// A person.
    Passphrase(Arc<dyn PassphrasePrompt>),
}

impl FileStore {
    /// In `folder`, for one profile.
    pub(super) fn new(folder: PrivateFolder, profile: ProfileName, source: KeySource) -> Self {
        Self { folder, profile, source, key: Arc::default() }
    }

    /// The key of the file at `path`, which exists.
    fn known_key(&self, path: &Path) -> Result<Arc<Key>, StorageError> {
        self.key(|| match &self.source {
            KeySource::Systemd(path) => systemd_key(path),
            KeySource::Kernel(name) => match kernel::find(name)? {
                Some(bytes) => Ok(Key::of_bytes(&bytes)),
                None => Err(StorageError::KeyLost { path: path.to_owned() }),
            },
            KeySource::Passphrase(person) => Ok(Key::typed(&person.known()?)),
        })
    }

    /// The key of a file that may have to be made.
    fn any_key(&self, profile: &ProfileName) -> Result<Arc<Key>, StorageError> {
        self.key(|| match &self.source {
            KeySource::Systemd(path) => systemd_key(path),
            KeySource::Kernel(name) => Ok(Key::of_bytes(&kernel::find_or_create(name, &self.folder)?)),
            KeySource::Passphrase(person) => match self.folder.read(&file_name(profile))? {
                // Mistyped, it would otherwise become the passphrase of the next file.
                Some(file) => {
                    let key = Key::typed(&person.known()?);
                    match key.decrypt(&self.folder.path(&file_name(profile)), &file) {
                        // It holds nothing that could be lost.
                        Err(StorageError::Damaged { .. }) => Ok(Key::typed(&person.chosen()?)),
                        opened => opened.map(|_| key),
                    }
                }
                None => Ok(Key::typed(&person.chosen()?)),
            },
        })
    }

    fn key(&self, find: impl FnOnce() -> Result<Key, StorageError>) -> Result<Arc<Key>, StorageError> {
        let mut kept = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*kept {
            return Ok(Arc::clone(key));
        }
        Ok(Arc::clone(kept.insert(Arc::new(find()?))))
    }

    fn forget_key(&self) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn load_here(&self, profile: &ProfileName) -> Result<Option<Session>, StorageError> {
        let name = file_name(profile);
        let Some(file) = self.folder.read(&name)? else { return Ok(None) };
        let path = self.folder.path(&name);
        let opened = self.known_key(&path)?.decrypt(&path, &file);
        if opened.is_err() {
            // The next one may be right.
            self.forget_key();
        }
        Kept::read(&opened?).map(Some)
    }

    /// Writes, reads and removes a file like the one to come, with a key of its own that takes no time.
    fn try_folder(&self) -> Result<(), StorageError> {
        let key = Key::of_bytes(&*private::random::<32>()?);
        let name = format!("trial-{}", hex::encode(*private::random::<8>()?));
        self.folder.write(&name, &key.encrypt(b"trial")?)?;
        let read = self.folder.read(&name);
        self.folder.wipe(&name)?;
        let path = self.folder.path(&name);
        match key.decrypt(&path, &read?.unwrap_or_default())?.as_slice() {
            b"trial" => Ok(()),
            _ => Err(StorageError::Damaged { path }),
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionTokenKeyStore for FileStore {
    async fn check(&self) -> Result<(), StorageError> {
        let store = self.clone();
        within(LIMIT, move || store.try_folder()).await?;
        let store = self.clone();
        // A person may be typing.
        apart(move || match store.source {
            // Made here, it would hide that the one of an older file is lost.
            KeySource::Kernel(_) => kernel::try_out(),
            KeySource::Systemd(_) | KeySource::Passphrase(_) => store.any_key(&store.profile).map(|_| ()),
        })
        .await
    }

    async fn load(&self, profile: &ProfileName) -> Result<Option<Session>, StorageError> {
        let (store, profile) = (self.clone(), profile.clone());
        apart(move || store.load_here(&profile)).await
    }

    async fn save(&self, profile: &ProfileName, session: &Session) -> Result<(), StorageError> {
        let (store, profile, plain) = (self.clone(), profile.clone(), Kept::write(session)?);
        apart(move || store.folder.write(&file_name(&profile), &store.any_key(&profile)?.encrypt(&plain)?)).await
    }

    async fn delete(&self, profile: &ProfileName) -> Result<(), StorageError> {
        let (store, profile) = (self.clone(), profile.clone());
        apart(move || store.folder.wipe(&file_name(&profile))).await
    }

    fn name(&self) -> &'static str {
        match self.source {
            KeySource::Systemd(_) => "file, encrypted with the systemd credential",
            KeySource::Kernel(_) => "file, encrypted with a key in the kernel keyring",
            KeySource::Passphrase(_) => "file, encrypted with a passphrase",
        }
    }
}

fn file_name(profile: &ProfileName) -> String {
    format!("{profile}.age")
}

fn systemd_key(path: &Path) -> Result<Key, StorageError> {
    let unavailable = |why: &dyn fmt::Display| {
        StorageError::KeyUnavailable(format!("the systemd credential `{SYSTEMD_CREDENTIAL}`: {why}"))
    };
    let bytes = std::fs::read(path).map(zeroize::Zeroizing::new).map_err(|error| unavailable(&error))?;
    if bytes.len() < SHORTEST_KEY {
        return Err(unavailable(&format_args!("it has {} bytes, and a key has {SHORTEST_KEY} or more", bytes.len())));
    }
    Ok(Key::of_bytes(&bytes))
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
