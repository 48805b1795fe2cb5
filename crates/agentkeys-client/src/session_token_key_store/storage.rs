use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use agentkeys_types::Invalid;
use serde::{Deserialize, Deserializer};

use super::{
    FileStore, KeychainStore, MemoryStore, PassphrasePrompt, SessionTokenKeyStore, StorageError,
    file::{KERNEL_KEY, KeySource, PrivateFolder, SYSTEMD_CREDENTIAL},
};
use crate::{Places, ProfileName};

/// What kind of store keeps a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreChoice {
    /// The keychain of the operating system.
    #[default]
    Keychain,
    /// An encrypted file.
    File,
    /// The memory of one process.
    Memory,
}

/// Where the key of a session file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKey {
    /// The systemd credential `agentkeys-session-key`.
    Systemd,
    /// The kernel's keyring of the user, until the machine restarts.
    Kernel,
    /// A person, who types a passphrase.
    Passphrase,
}

impl FromStr for StoreChoice {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "keychain" => Ok(Self::Keychain),
            "file" => Ok(Self::File),
            "memory" => Ok(Self::Memory),
            _ => Err(Invalid("a store is keychain, file or memory")),
        }
    }
}

impl fmt::Display for StoreChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Keychain => "keychain",
            Self::File => "file",
            Self::Memory => "memory",
        })
    }
}

impl<'de> Deserialize<'de> for StoreChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for StoreKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "systemd" => Ok(Self::Systemd),
            "kernel" => Ok(Self::Kernel),
            "passphrase" => Ok(Self::Passphrase),
            _ => Err(Invalid("the key of a session file is systemd, kernel or passphrase")),
        }
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Systemd => "systemd",
            Self::Kernel => "kernel",
            Self::Passphrase => "passphrase",
        })
    }
}

/// What somebody asked for: by a flag or variable, or else in the settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskedStorage {
    /// The kind of store.
    pub choice: Option<StoreChoice>,
    /// Where the key of a file comes from.
    pub key: Option<StoreKey>,
}

/// Where a profile's session is kept: decided once, remembered by sign-in, and then the same for every process.
#[derive(Clone, Debug)]
pub struct SessionStorage {
    choice: StoreChoice,
    key: Option<StoreKey>,
    folder: PrivateFolder,
    credential: Option<PathBuf>,
    profile: ProfileName,
}

impl SessionStorage {
    /// What was asked for, or else what the last sign-in used, or else the keychain.
    pub fn decide(asked: AskedStorage, places: &Places, profile: &ProfileName) -> Result<Self, StorageError> {
        let folder = PrivateFolder::at(places.sessions());
        let remembered = if asked.choice.is_some() && asked.choice != Some(StoreChoice::File) {
            None
        } else {
            remembered(&folder, profile)?
        };
        let choice = asked.choice.or(remembered.map(|(choice, _)| choice)).unwrap_or_default();
        let key = asked.key.or(remembered.and_then(|(_, key)| key));
        let credential = places.credentials().map(|folder| folder.join(SYSTEMD_CREDENTIAL));
        Ok(Self { choice, key, folder, credential, profile: profile.clone() })
    }

    /// What the last sign-in used, if that is remembered.
    pub fn remembered(places: &Places, profile: &ProfileName) -> Result<Option<Self>, StorageError> {
        match remembered(&PrivateFolder::at(places.sessions()), profile)? {
            Some(_) => Self::decide(AskedStorage::default(), places, profile).map(Some),
            None => Ok(None),
        }
    }

    /// The kind of store.
    pub fn choice(&self) -> StoreChoice {
        self.choice
    }

    /// Where the key of the file comes from, if it is a file.
    pub fn key(&self) -> Option<StoreKey> {
        (self.choice == StoreChoice::File).then(|| self.file_key())
    }

    /// The store. Nothing is opened, and nobody asked for anything, before it is used.
    pub fn open(&self, prompt: Arc<dyn PassphrasePrompt>) -> Arc<dyn SessionTokenKeyStore> {
        match self.choice {
            StoreChoice::Keychain => Arc::new(KeychainStore::default()),
            StoreChoice::File => {
                let source = match self.file_key() {
                    // Where systemd gives none, its own error will say so.
                    StoreKey::Systemd => KeySource::Systemd(self.credential.clone().unwrap_or_default()),
                    StoreKey::Kernel => KeySource::Kernel(KERNEL_KEY.to_owned()),
                    StoreKey::Passphrase => KeySource::Passphrase(prompt),
                };
                Arc::new(FileStore::new(self.folder.clone(), self.profile.clone(), source))
            }
            StoreChoice::Memory => Arc::new(MemoryStore::default()),
        }
    }

    /// Remembers it for every later process.
    pub fn remember(&self) -> Result<(), StorageError> {
        let text = match self.choice {
            StoreChoice::File => format!("{} {}\n", self.choice, self.file_key()),
            StoreChoice::Keychain | StoreChoice::Memory => format!("{}\n", self.choice),
        };
        self.folder.write(&memo(&self.profile), text.as_bytes())
    }

    /// Remembers nothing any more.
    pub fn forget(&self) -> Result<(), StorageError> {
        self.folder.wipe(&memo(&self.profile))
    }

    fn file_key(&self) -> StoreKey {
        self.key.unwrap_or_else(|| {
            let is_given = self.credential.as_ref().is_some_and(|path| path.exists());
            if is_given { StoreKey::Systemd } else { StoreKey::Passphrase }
        })
    }
}

fn memo(profile: &ProfileName) -> String {
    format!("{profile}.store")
}

/// What the last sign-in used.
fn remembered(
    folder: &PrivateFolder,
    profile: &ProfileName,
) -> Result<Option<(StoreChoice, Option<StoreKey>)>, StorageError> {
    let Some(bytes) = folder.read(&memo(profile))? else { return Ok(None) };
    let words = std::str::from_utf8(&bytes).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    let parsed = match words[..] {
        [choice] => choice.parse().map(|choice| (choice, None)),
        [choice, key] => choice.parse().and_then(|choice| key.parse().map(|key| (choice, Some(key)))),
        _ => Err(Invalid("it does not name a store")),
    };
    match parsed {
        Ok(parsed) => Ok(Some(parsed)),
        Err(Invalid(reason)) => {
            Err(StorageError::File { path: folder.path(&memo(profile)), reason: reason.to_owned() })
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;

    use super::*;
    use crate::session_token_key_store::{file::TerminalPrompt, kept::tests::session};

    const SILENT: TerminalPrompt = TerminalPrompt { may_ask: false };

    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn places(&self) -> Places {
            Places::new(self.0.path(), None, None, None)
        }

        /// The places of a service that systemd gives a key.
        fn service(&self) -> Places {
            fs::write(self.0.path().join(SYSTEMD_CREDENTIAL), [7; 32]).unwrap();
            self.places().with_credentials(self.0.path().to_owned())
        }

        fn memo(&self) -> PathBuf {
            self.places().sessions().join("default.store")
        }
    }

    fn decide(places: &Places, choice: Option<StoreChoice>, key: Option<StoreKey>) -> SessionStorage {
        SessionStorage::decide(AskedStorage { choice, key }, places, &ProfileName::default()).unwrap()
    }

    #[test]
    fn choices_read_as_they_are_written() {
        for choice in [StoreChoice::Keychain, StoreChoice::File, StoreChoice::Memory] {
            assert_eq!(choice.to_string().parse::<StoreChoice>().unwrap(), choice);
        }
        for key in [StoreKey::Systemd, StoreKey::Kernel, StoreKey::Passphrase] {
            assert_eq!(key.to_string().parse::<StoreKey>().unwrap(), key);
        }
        assert!("File".parse::<StoreChoice>().is_err() && "tpm".parse::<StoreKey>().is_err());
    }

    #[test]
    fn without_a_word_it_is_the_keychain() {
        assert_eq!(decide(&Home::new().places(), None, None).choice(), StoreChoice::Keychain);
    }

    #[test]
    fn what_a_sign_in_used_is_used_until_somebody_asks_for_another_or_signs_out() {
        let home = Home::new();
        let places = home.places();
        let file = decide(&places, Some(StoreChoice::File), Some(StoreKey::Kernel));

        file.remember().unwrap();

        let later = decide(&places, None, None);
        assert_eq!((later.choice(), later.file_key()), (StoreChoice::File, StoreKey::Kernel));
        assert_eq!(decide(&places, Some(StoreChoice::Memory), None).choice(), StoreChoice::Memory);
        assert_eq!(decide(&places, Some(StoreChoice::File), None).file_key(), StoreKey::Kernel);
        later.forget().unwrap();
        assert_eq!(decide(&places, None, None).choice(), StoreChoice::Keychain);
    }

    #[test]
    fn each_profile_has_its_choice() {
        let home = Home::new();
        decide(&home.places(), Some(StoreChoice::Memory), None).remember().unwrap();

        let work = SessionStorage::decide(AskedStorage::default(), &home.places(), &"work".parse().unwrap()).unwrap();

        assert_eq!(work.choice(), StoreChoice::Keychain);
    }

    #[test]
    fn the_key_of_a_file_is_systemds_where_it_gives_one_and_otherwise_a_persons() {
        let home = Home::new();

        assert_eq!(decide(&home.places(), Some(StoreChoice::File), None).file_key(), StoreKey::Passphrase);
        assert_eq!(decide(&home.service(), Some(StoreChoice::File), None).file_key(), StoreKey::Systemd);
        let asked = decide(&home.service(), Some(StoreChoice::File), Some(StoreKey::Passphrase));
        assert_eq!(asked.file_key(), StoreKey::Passphrase);
    }

    #[test]
    fn a_file_that_was_written_with_systemds_key_is_not_opened_with_a_passphrase() {
        let home = Home::new();
        decide(&home.service(), Some(StoreChoice::File), None).remember().unwrap();

        assert_eq!(decide(&home.places(), None, None).file_key(), StoreKey::Systemd);
    }

    #[test]
    fn a_memo_that_makes_no_sense_is_an_error_that_names_it() {
        let home = Home::new();
        let storage = decide(&home.places(), None, None);
        for text in ["", "cloud\n", "file tpm\n", "file kernel please\n"] {
            storage.folder.write("default.store", text.as_bytes()).unwrap();

            let asked = AskedStorage::default();
            let error = SessionStorage::decide(asked, &home.places(), &ProfileName::default()).unwrap_err();

            assert!(matches!(error, StorageError::File { path, .. } if path == home.memo()), "{text:?}");
        }
    }

    #[tokio::test]
    async fn the_file_store_that_was_decided_keeps_a_session() {
        let home = Home::new();
        let profile = ProfileName::default();
        let open = || decide(&home.service(), Some(StoreChoice::File), None).open(Arc::new(SILENT));

        open().save(&profile, &session("aks_one")).await.unwrap();

        assert_eq!(open().load(&profile).await.unwrap().unwrap().token.expose(), "aks_one");
        assert!(home.places().sessions().join("default.age").exists());
    }

    #[tokio::test]
    async fn a_file_without_any_key_is_refused_before_anything_is_written() {
        let home = Home::new();

        let store = decide(&home.places(), Some(StoreChoice::File), None).open(Arc::new(SILENT));

        assert_eq!(store.check().await.unwrap_err().code(), "store_key_unavailable");
        assert!(store.load(&ProfileName::default()).await.unwrap().is_none());
    }
}
