use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use keyring_core::{CredentialStore, Entry, Error};
use zeroize::Zeroizing;

use super::{SessionTokenKeyStore, StorageError, blocking::within, kept::Kept, platform};
use crate::{ProfileName, Session};

const SERVICE: &str = "agentkeys";
/// No profile can have this name.
const TRIAL: &str = "trial entry";
/// A bus that hangs must not hang the command.
const LIMIT: Duration = Duration::from_secs(2);

type Open = dyn Fn() -> keyring_core::Result<Arc<CredentialStore>> + Send + Sync;

/// Keeps sessions in a keychain.
#[derive(Clone)]
pub struct KeychainStore {
    open: Arc<Open>,
}

impl KeychainStore {
    /// Over another keychain than the operating system's.
    pub fn over(keychain: Arc<CredentialStore>) -> Self {
        Self { open: Arc::new(move || Ok(Arc::clone(&keychain))) }
    }

    /// Does `work` with the entry of `user`, in time.
    async fn with_entry<T: Send + 'static>(
        &self,
        user: &str,
        work: impl FnOnce(Entry) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (open, user) = (Arc::clone(&self.open), user.to_owned());
        within(LIMIT, move || {
            let keychain = open().map_err(Fault::Absent)?;
            let entry = keychain.build(SERVICE, &user, None).map_err(Fault::Keychain)?;
            Ok(work(entry)?)
        })
        .await
    }
}

impl Default for KeychainStore {
    /// Over the keychain of the operating system.
    fn default() -> Self {
        Self { open: Arc::new(platform::open) }
    }
}

impl fmt::Debug for KeychainStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeychainStore")
    }
}

#[async_trait]
impl SessionTokenKeyStore for KeychainStore {
    async fn check(&self) -> Result<(), StorageError> {
        self.with_entry(TRIAL, |entry| {
            entry.set_secret(b"trial")?;
            let found = entry.get_secret()?;
            entry.delete_credential()?;
            if found == b"trial" { Ok(()) } else { Err(Fault::Malformed) }
        })
        .await
    }

    async fn load(&self, profile: &ProfileName) -> Result<Option<Session>, StorageError> {
        let found = self.with_entry(profile.as_str(), |entry| match entry.get_secret() {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error.into()),
        });
        found.await?.map(|bytes| Kept::read(&bytes)).transpose()
    }

    async fn save(&self, profile: &ProfileName, session: &Session) -> Result<(), StorageError> {
        let bytes = Kept::write(session)?;
        self.with_entry(profile.as_str(), move |entry| Ok(entry.set_secret(&bytes)?)).await
    }

    async fn delete(&self, profile: &ProfileName) -> Result<(), StorageError> {
        self.with_entry(profile.as_str(), |entry| match entry.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error.into()),
        })
        .await
    }

    fn name(&self) -> &'static str {
        platform::NAME
    }
}

/// What went wrong, and on which side of the keychain's door.
enum Fault {
    /// Nothing answers where the keychain should be.
    Absent(Error),
    /// The keychain answered with an error.
    Keychain(Error),
    /// It gave something else than it was given.
    Malformed,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Keychain(error)
    }
}

impl From<Fault> for StorageError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Absent(Error::NoDefaultStore) => Self::Unavailable("this system has none that is known".to_owned()),
            Fault::Absent(Error::PlatformFailure(error)) => Self::Unavailable(error.to_string()),
            Fault::Absent(Error::NoStorageAccess(_)) | Fault::Keychain(Error::NoStorageAccess(_)) => Self::Locked,
            // These two carry what was read, which may be a session.
            Fault::Malformed | Fault::Keychain(Error::BadEncoding(_) | Error::BadDataFormat(..)) => Self::Malformed,
            Fault::Absent(error) | Fault::Keychain(error) => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use keyring_core::mock;

    use super::*;
    use crate::session_token_key_store::kept::tests::session;

    /// A store, and the keychain below it.
    fn store() -> (KeychainStore, Arc<CredentialStore>) {
        let keychain: Arc<CredentialStore> = mock::Store::new().unwrap();
        (KeychainStore::over(Arc::clone(&keychain)), keychain)
    }

    fn profile() -> ProfileName {
        ProfileName::default()
    }

    /// Makes the next call for `user` fail.
    fn fail(keychain: &Arc<CredentialStore>, user: &str, error: Error) {
        let entry = keychain.build(SERVICE, user, None).unwrap();
        entry.as_any().downcast_ref::<mock::Cred>().unwrap().set_error(error);
    }

    #[tokio::test]
    async fn a_session_is_kept_replaced_and_forgotten() {
        let (store, _) = store();

        assert!(store.load(&profile()).await.unwrap().is_none());
        store.save(&profile(), &session("aks_one")).await.unwrap();
        store.save(&profile(), &session("aks_two")).await.unwrap();
        assert_eq!(store.load(&profile()).await.unwrap().unwrap().token.expose(), "aks_two");
        store.delete(&profile()).await.unwrap();
        store.delete(&profile()).await.unwrap();
        assert!(store.load(&profile()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn each_profile_has_its_session() {
        let (store, _) = store();
        let work: ProfileName = "work".parse().unwrap();

        store.save(&profile(), &session("aks_one")).await.unwrap();

        assert!(store.load(&work).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_check_leaves_nothing_behind() {
        let (store, keychain) = store();

        store.check().await.unwrap();

        let trial = keychain.build(SERVICE, TRIAL, None).unwrap();
        assert!(matches!(trial.get_secret(), Err(Error::NoEntry)));
    }

    #[tokio::test]
    async fn a_locked_keychain_is_said_to_be_locked_whatever_is_asked_of_it() {
        let (store, keychain) = store();
        let lock = |user| fail(&keychain, user, Error::NoStorageAccess("NoResult".into()));

        lock(TRIAL);
        assert_eq!(store.check().await, Err(StorageError::Locked));
        lock("default");
        assert_eq!(store.load(&profile()).await.unwrap_err(), StorageError::Locked);
        lock("default");
        assert_eq!(store.save(&profile(), &session("aks_one")).await, Err(StorageError::Locked));
        lock("default");
        assert_eq!(store.delete(&profile()).await, Err(StorageError::Locked));
    }

    #[tokio::test]
    async fn an_error_never_repeats_what_was_read() {
        let (store, keychain) = store();
        fail(&keychain, "default", Error::BadEncoding(b"aks_very-secret".to_vec()));

        assert_eq!(store.load(&profile()).await.unwrap_err(), StorageError::Malformed);
    }

    #[tokio::test]
    async fn something_else_in_the_keychain_is_malformed() {
        let (store, keychain) = store();
        keychain.build(SERVICE, "default", None).unwrap().set_secret(b"aks_very-secret").unwrap();

        assert_eq!(store.load(&profile()).await.unwrap_err(), StorageError::Malformed);
    }

    #[tokio::test]
    async fn a_session_that_is_too_long_for_the_keychain_is_a_failure() {
        let (store, keychain) = store();
        fail(&keychain, "default", Error::TooLong("secret".to_owned(), 2560));

        let error = store.save(&profile(), &session("aks_one")).await.unwrap_err();

        assert_eq!(error.code(), "keychain_failed");
    }

    #[tokio::test]
    async fn a_keychain_that_is_not_there_is_unavailable() {
        for (error, code) in [
            (Error::NoDefaultStore, "keychain_unavailable"),
            (Error::PlatformFailure(Box::new(io::Error::other("no bus"))), "keychain_unavailable"),
            (Error::NoStorageAccess("locked".into()), "keychain_locked"),
        ] {
            let error = std::sync::Mutex::new(Some(error));
            let store = KeychainStore { open: Arc::new(move || Err(error.lock().unwrap().take().unwrap())) };

            assert_eq!(store.check().await.unwrap_err().code(), code);
        }
    }
}
