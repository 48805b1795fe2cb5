use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use agentkeys_store::{SessionRecord, Store, StoreError};
use agentkeys_types::{EvmAddress, OmniAccount, SessionId, Timestamp};
use quick_cache::sync::Cache;
use tokio::sync::watch;

/// For how long another broker on the same store may have revoked something before this one sees it.
const FRESH: Duration = Duration::from_secs(1);
const REMEMBERED: usize = 16_384;

/// Whether sessions and proved wallets still stand: by the store, asked at most once a second for each.
///
/// What this broker itself revokes falls at once: every change opens a new generation, in which nothing that
/// was read before counts.
#[derive(Debug)]
pub(crate) struct Standing {
    sessions: Cache<SessionId, Read<Option<SessionRecord>>>,
    wallets: Cache<(OmniAccount, EvmAddress), Read<Timestamp>>,
    /// When the use of a session was noted last.
    noted: Cache<SessionId, Timestamp>,
    generation: AtomicU64,
    changes: watch::Sender<()>,
}

#[derive(Clone, Debug)]
struct Read<T> {
    found: T,
    generation: u64,
    at: Instant,
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            sessions: Cache::new(REMEMBERED),
            wallets: Cache::new(REMEMBERED),
            noted: Cache::new(REMEMBERED),
            generation: AtomicU64::new(0),
            changes: watch::Sender::new(()),
        }
    }

    /// The session of this name, whether or not it stands.
    pub(crate) async fn session(&self, store: &dyn Store, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        // Taken before the store is read, so that a change in between makes what was read stale.
        let generation = self.generation.load(Ordering::Acquire);
        if let Some(read) = self.sessions.get(&id).filter(|read| read.is_fresh(generation)) {
            return Ok(read.found);
        }
        let found = store.find_session(id).await?;
        match &found {
            Some(session) if session.revoked_at.is_none() => {
                self.sessions.insert(id, Read { found: found.clone(), generation, at: Instant::now() });
            }
            // A stranger's guesses must not push out what is in use, and what was revoked is of no more use.
            _ => drop(self.sessions.remove(&id)),
        }
        Ok(found)
    }

    /// When the account's link to this wallet was proved, if it is.
    pub(crate) async fn wallet_proved_at(
        &self,
        store: &dyn Store,
        account: OmniAccount,
        address: EvmAddress,
    ) -> Result<Option<Timestamp>, StoreError> {
        let generation = self.generation.load(Ordering::Acquire);
        if let Some(read) = self.wallets.get(&(account, address)).filter(|read| read.is_fresh(generation)) {
            return Ok(Some(read.found));
        }
        let proved_at = store.find_wallet(account, address).await?.and_then(|link| link.proved_at);
        // A no is asked for anew each time, so that a proof counts at once.
        if let Some(found) = proved_at {
            self.wallets.insert((account, address), Read { found, generation, at: Instant::now() });
        }
        Ok(proved_at)
    }

    /// Whether the use of this session is to be noted: not while that was done less than `every` ago.
    pub(crate) fn begin_note(&self, id: SessionId, now: Timestamp, every: Duration) -> bool {
        if self.noted.get(&id).is_some_and(|noted| noted <= now && now < noted.after(every)) {
            return false;
        }
        self.noted.insert(id, now);
        true
    }

    /// Forgets everything that was read: something has been revoked or unlinked.
    pub(crate) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
        self.changes.send_replace(());
    }

    /// Tells of changes by this broker.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

impl<T> Read<T> {
    fn is_fresh(&self, generation: u64) -> bool {
        self.generation == generation && self.at.elapsed() < FRESH
    }
}
