use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agentkeys_types::Clock;

use crate::{BrokerClient, ClientError, Places, ProfileName, Session, SessionTokenKeyStore, StorageError};

/// A renewal elsewhere takes a few exchanges with the broker, and no longer.
const LONGEST_RENEWAL: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// How often a renewal is asked for before it is left for later.
const TRIES: u32 = 3;

/// Gives a profile's session a fresh token in time, while no process uses the one before.
///
/// A token that was replaced revokes its session when somebody presents it. So every process that has the session
/// holds a lock that it shares with others, and a renewal needs that lock for itself alone.
pub struct Renewal {
    store: Arc<dyn SessionTokenKeyStore>,
    profile: ProfileName,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    /// The lock, from the first use of the session on.
    lock: Mutex<Option<File>>,
}

impl Renewal {
    /// Renews the session that `store` keeps for `profile`.
    pub fn new(
        store: Arc<dyn SessionTokenKeyStore>,
        places: &Places,
        profile: &ProfileName,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let path = places.state().join(format!("session-{profile}.lock"));
        Self { store, profile: profile.clone(), clock, path, lock: Mutex::default() }
    }

    /// The session that is kept, which nobody renews from now on until this is dropped, but itself.
    pub async fn load(&self) -> Result<Option<Session>, StorageError> {
        self.share().await?;
        self.store.load(&self.profile).await
    }

    /// The same session with a fresh token, if it is time for one and no other process has the session now.
    ///
    /// # Errors
    ///
    /// When the broker did not answer: it is not known which token counts then, so none may be used before this has
    /// been asked again.
    pub async fn renew_if_due(&self, broker: &BrokerClient, session: Session) -> Result<Session, ClientError> {
        if !session.is_renewal_due(self.clock.now()) || !self.take_alone()? {
            return Ok(session);
        }
        let renewed = self.renew(broker, session).await;
        self.share().await?;
        renewed
    }

    async fn renew(&self, broker: &BrokerClient, session: Session) -> Result<Session, ClientError> {
        let session = match self.store.load(&self.profile).await? {
            Some(kept) if kept.session_id == session.session_id => kept,
            _ => return Ok(session),
        };
        if !session.is_renewal_due(self.clock.now()) {
            return Ok(session);
        }
        // Before anything is begun whose outcome must be kept.
        self.store.check().await?;
        let mut tries = 1;
        let renewed = loop {
            match broker.renew_session(&session).await {
                Err(error) if error.retryable() && tries < TRIES => tries += 1,
                answer => break answer?,
            }
        };
        let now = self.clock.now();
        let renewed = Session::opened(renewed, session.device_key, session.broker_url, now)?;
        self.store.save(&self.profile, &renewed).await?;
        Ok(renewed)
    }

    /// Holds the lock together with others, as soon as no renewal is under way.
    async fn share(&self) -> Result<(), StorageError> {
        let tries = LONGEST_RENEWAL.as_millis() / PAUSE.as_millis();
        for _ in 0..tries {
            if self.try_lock(File::try_lock_shared)? {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(StorageError::Failed("another process has been renewing the session for too long".to_owned()))
    }

    /// Takes the lock for this process alone, unless another one has it.
    fn take_alone(&self) -> Result<bool, StorageError> {
        // The kernel lets go of a shared lock before it tries for more; where that fails it is taken again.
        if self.try_lock(File::try_lock)? {
            return Ok(true);
        }
        self.try_lock(File::try_lock_shared)?;
        Ok(false)
    }

    fn try_lock(&self, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<bool, StorageError> {
        let mut file = self.file()?;
        match file.as_ref().map(lock) {
            Some(Ok(())) => Ok(true),
            Some(Err(TryLockError::WouldBlock)) | None => Ok(false),
            Some(Err(TryLockError::Error(error))) => {
                *file = None;
                Err(self.failed(&error))
            }
        }
    }

    fn file(&self) -> Result<MutexGuard<'_, Option<File>>, StorageError> {
        let mut file = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            *file = Some(self.open().map_err(|error| self.failed(&error))?);
        }
        Ok(file)
    }

    fn open(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            agentkeys_crypto::private_file::create_folder(folder)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }

    fn failed(&self, error: &io::Error) -> StorageError {
        StorageError::File { path: self.path.clone(), reason: error.to_string() }
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Renewal").field("profile", &self.profile).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use agentkeys_types::SystemClock;

    use super::*;
    use crate::MemoryStore;

    fn renewal(home: &tempfile::TempDir) -> Renewal {
        let places = Places::new(home.path(), None, None, None);
        Renewal::new(Arc::new(MemoryStore::default()), &places, &ProfileName::default(), Arc::new(SystemClock))
    }

    #[tokio::test]
    async fn nobody_renews_a_session_that_another_process_has() {
        let home = tempfile::tempdir().unwrap();
        let (daemon, command) = (renewal(&home), renewal(&home));
        daemon.load().await.unwrap();
        command.load().await.unwrap();

        let while_both_have_it = daemon.take_alone().unwrap();
        drop(command);
        let alone = daemon.take_alone().unwrap();

        assert!(!while_both_have_it);
        assert!(alone);
    }

    #[tokio::test]
    async fn a_session_is_not_read_while_it_is_renewed() {
        let home = tempfile::tempdir().unwrap();
        let (daemon, command) = (renewal(&home), renewal(&home));
        assert!(daemon.take_alone().unwrap());

        let refused = command.try_lock(File::try_lock_shared).unwrap();
        daemon.share().await.unwrap();

        assert!(!refused);
        command.load().await.unwrap();
    }
}
