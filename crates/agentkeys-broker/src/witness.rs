use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use agentkeys_crypto::private_file;
use agentkeys_store::{Action, Entry, Head, Outcome, Store, StoreError};
use agentkeys_types::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Mutex,
    time::{MissedTickBehavior, interval},
};

use crate::Broker;

/// How often what nobody waits for is witnessed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the witness cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// What it says makes no sense.
    #[error("`{}` is damaged: only if the store is the newest there is, remove it", .0.display())]
    Damaged(PathBuf),
    /// It cannot be read or written.
    #[error("`{}` cannot be read or written: {}", .0.display(), .1)]
    File(PathBuf, #[source] io::Error),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing can be written any more.
    #[error("the process is ending")]
    Ending,
}

/// Remembers, apart from the store, how far its audit record had come, so that an older copy of the store is known.
///
/// It lies in the folder of the signing keys, which all brokers on one store share, and is on disk before a
/// revocation is answered. It goes back only when an older copy was found and all that this held open has ended.
#[derive(Debug)]
pub(crate) struct Witness {
    files: Files,
    /// Up to which entry the record is known to be witnessed.
    witnessed: Mutex<u64>,
}

impl Witness {
    /// Holds the store against the witness, or makes one where there is none.
    ///
    /// When the store is not the one that was witnessed, or its record does not go as far, it was restored: all that
    /// it holds open ends.
    pub(crate) async fn open(keys: &Path, store: &dyn Store, now: Timestamp) -> Result<Self, WitnessError> {
        let files = Files::new(keys);
        // Of several brokers that start on an older copy one ends what it held open, and the others find that done.
        let lock = files.blocking(Files::lock).await?;
        // The witness follows the store, so it is read first.
        let witnessed = files.blocking(Files::read).await?.unwrap_or_default();
        if !has(store, witnessed).await? {
            end_everything(store, now).await?;
        }
        let head = store.head().await?;
        if head != witnessed {
            files.blocking(move |files| files.write(head)).await?;
        }
        drop(lock);
        Ok(Self { files, witnessed: Mutex::new(head.sequence) })
    }

    /// Returns once all that the store has recorded so far is witnessed.
    ///
    /// Those who wait while it is being written share the next write.
    pub(crate) async fn advance(&self, store: &dyn Store) -> Result<(), WitnessError> {
        let recorded = store.head().await?.sequence;
        let mut witnessed = self.witnessed.lock().await;
        if *witnessed < recorded {
            let head = store.head().await?;
            *witnessed = self.files.blocking(move |files| files.advance(head)).await?;
        }
        Ok(())
    }
}

impl Broker {
    /// What something was revoked, replaced or unlinked waits for before it is answered.
    pub(crate) async fn witness(&self) -> Result<(), StoreError> {
        self.witness.advance(&*self.store).await.map_err(|error| match error {
            WitnessError::Store(error) => error,
            error => StoreError(Box::new(error)),
        })
    }

    /// Has used codes and challenges witnessed too, soon after they were answered; returns when it is dropped.
    pub(crate) async fn witness_every_second(&self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            ticks.tick().await;
            let witnessed = self.witness().await;
            if let Err(error) = &witnessed
                && !is_failing
            {
                tracing::error!(%error, "the witness of the store does not follow: nothing can be revoked");
            }
            is_failing = witnessed.is_err();
        }
    }
}

/// Whether the store's record goes as far as the witness says, and is the same up to there.
async fn has(store: &dyn Store, witnessed: Head) -> Result<bool, StoreError> {
    let Some(before) = witnessed.sequence.checked_sub(1) else { return Ok(true) };
    let found = store.entries_after(before, 1).await?;
    Ok(found.first().is_some_and(|entry| (entry.sequence, entry.hash) == (witnessed.sequence, witnessed.hash)))
}

async fn end_everything(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let entry = Entry {
        at: now,
        action: Action::DetectRestore,
        outcome: Outcome::Done,
        account: None,
        session: None,
        subject: "sessions".to_owned(),
        source: None,
    };
    let sessions = store.end_everything(entry).await?;
    tracing::warn!(
        action = Action::DetectRestore.as_str(),
        sessions,
        "the store is an older copy, which knows nothing of later revocations: every session was revoked"
    );
    Ok(())
}

/// The witness on disk. In a folder of its own, so that whoever watches that of the keys sees nothing of it.
#[derive(Clone, Debug)]
struct Files {
    head: PathBuf,
    lock: PathBuf,
}

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    sequence: u64,
    hash: String,
}

impl Files {
    fn new(keys: &Path) -> Self {
        let folder = keys.join("witness");
        Self { head: folder.join("audit-head.json"), lock: folder.join("lock") }
    }

    /// Does something that waits for the disk, away from those who serve.
    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Self) -> Result<T, WitnessError> + Send + 'static,
    ) -> Result<T, WitnessError> {
        let files = self.clone();
        tokio::task::spawn_blocking(move || act(&files)).await.map_err(|_| WitnessError::Ending)?
    }

    /// Waits until nobody else is at it; for as long as what it gives lives, and at most as long as the process.
    fn lock(&self) -> Result<File, WitnessError> {
        let lock = || {
            private_file::read_or_create(&self.lock, Default::default)?;
            let file = File::options().write(true).open(&self.lock)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error| WitnessError::File(self.lock.clone(), error))
    }

    fn read(&self) -> Result<Option<Head>, WitnessError> {
        let bytes = match private_file::read(&self.head) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|error| WitnessError::File(self.head.clone(), error))?,
        };
        let damaged = || WitnessError::Damaged(self.head.clone());
        let Written { sequence, hash } = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let mut head = Head { sequence, hash: [0; 32] };
        hex::decode_to_slice(hash, &mut head.hash).map_err(|_| damaged())?;
        Ok(Some(head))
    }

    fn write(&self, head: Head) -> Result<(), WitnessError> {
        let written = Written { sequence: head.sequence, hash: hex::encode(head.hash) };
        let failed = |error| WitnessError::File(self.head.clone(), error);
        let text = serde_json::to_vec(&written).map_err(|error| failed(error.into()))?;
        private_file::replace(&self.head, &text).map_err(failed)
    }

    /// Writes `head`, unless another broker was further already; returns how far it is.
    fn advance(&self, head: Head) -> Result<u64, WitnessError> {
        let _lock = self.lock()?;
        match self.read()? {
            Some(written) if written.sequence >= head.sequence => Ok(written.sequence),
            _ => {
                self.write(head)?;
                Ok(head.sequence)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(sequence: u64) -> Head {
        Head { sequence, hash: [7; 32] }
    }

    #[test]
    fn a_witness_that_is_further_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path());

        let witnessed = [5, 3, 5, 8].map(|sequence| files.advance(head(sequence)).unwrap());

        assert_eq!(witnessed, [5, 5, 5, 8]);
        assert_eq!(files.read().unwrap(), Some(head(8)));
    }

    #[test]
    fn a_witness_that_makes_no_sense_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path());
        assert_eq!(files.read().unwrap(), None);

        for text in ["", "{}", r#"{"sequence":1,"hash":"00"}"#, r#"{"sequence":-1,"hash":"00"}"#] {
            private_file::replace(&files.head, text.as_bytes()).unwrap();

            let refusal = files.read().unwrap_err().to_string();
            assert!(refusal.contains("witness/audit-head.json` is damaged"), "{refusal}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_watches_the_keys_sees_nothing_of_the_witness() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path());
        files.advance(head(1)).unwrap();
        let before = agentkeys_crypto::FolderState::of(folder.path()).unwrap();

        files.advance(head(2)).unwrap();

        assert_eq!(agentkeys_crypto::FolderState::of(folder.path()).unwrap(), before);
    }
}
