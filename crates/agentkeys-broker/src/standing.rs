use std::time::{Duration, Instant};

use agentkeys_store::{SessionRecord, Store, StoreError};
use agentkeys_types::{EvmAddress, OmniAccount, SessionId, Timestamp};
use quick_cache::sync::Cache;
use tokio::sync::watch;

/// For how long another broker on the same store may have revoked something before this one sees it.
const FRESH: Duration = Duration::from_secs(1);
const REMEMBERED: usize = 16_384;
/// As many as a byte has values.
const PARTS: usize = 256;

/// Whether sessions and proved wallets still stand: by the store, asked at most once a second for each.
///
/// What this broker itself revokes falls at once: every change opens a new generation, in which nothing that
/// was read before counts. So that one change does not make everybody ask anew, ids and accounts fall, by their first
/// byte, into parts with a generation each.
#[derive(Debug)]
pub(crate) struct Standing {
    sessions: Cache<SessionId, Read<Option<SessionRecord>>>,
    wallets: Cache<(OmniAccount, EvmAddress), Read<Timestamp>>,
    /// When the use of a session was noted last.
    noted: Cache<SessionId, Timestamp>,
    generations: Box<[watch::Sender<u64>]>,
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
            generations: (0..PARTS).map(|_| watch::Sender::new(0)).collect(),
        }
    }

    /// The session of this name, whether or not it stands.
    pub(crate) async fn session(&self, store: &dyn Store, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        // Taken before the store is read, so that a change in between makes what was read stale.
        let generation = self.generation(id.as_bytes()[0]);
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
        let generation = self.generation(account.as_bytes()[0]);
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

    /// Forgets what was read of a session: it has been revoked or renewed.
    pub(crate) fn changed(&self, id: SessionId) {
        self.next_generation(id.as_bytes()[0]);
    }

    /// Forgets what was read of an account's wallets: one has been unlinked.
    pub(crate) fn unlinked(&self, account: OmniAccount) {
        self.next_generation(account.as_bytes()[0]);
    }

    /// Tells of changes by this broker to a session, and of some others.
    pub(crate) fn changes(&self, id: SessionId) -> watch::Receiver<u64> {
        self.generations[usize::from(id.as_bytes()[0])].subscribe()
    }

    fn generation(&self, part: u8) -> u64 {
        *self.generations[usize::from(part)].borrow()
    }

    fn next_generation(&self, part: u8) {
        self.generations[usize::from(part)].send_modify(|generation| *generation += 1);
    }
}

impl<T> Read<T> {
    fn is_fresh(&self, generation: u64) -> bool {
        self.generation == generation && self.at.elapsed() < FRESH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_to_one_session_wakes_whoever_waits_for_it_and_few_others() {
        let standing = Standing::new();
        let id = |number: u8| SessionId::from_bytes([number; 16]);
        let waiting: Vec<_> = (0..=u8::MAX).map(|number| standing.changes(id(number))).collect();

        standing.changed(id(7));

        let woken =
            |(number, changes): (usize, &watch::Receiver<u64>)| changes.has_changed().unwrap().then_some(number);
        assert_eq!(waiting.iter().enumerate().filter_map(woken).collect::<Vec<_>>(), [7]);
    }
}
