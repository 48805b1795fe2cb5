use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use agentkeys_crypto::{JwkSet, TokenError, TokenVerifier, VerifiedToken};
use agentkeys_types::{Clock, Timestamp};
use tokio::sync::Mutex;

use crate::{CallerError, Standing, standing::BrokerUnreachable};

/// How often a token by an unknown key may make us look for newer keys.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);
/// How old the keys may grow: a key that the broker has dropped is dropped here too.
const OLDEST: Duration = Duration::from_mins(1);

/// Checks tokens with the broker's session keys, which it fetches when it needs them.
#[derive(Debug)]
pub(crate) struct SessionKeys {
    broker: Arc<dyn Standing>,
    clock: Arc<dyn Clock>,
    verifier: TokenVerifier,
    /// Held while fetching, so that one fetch serves all who wait.
    current: Mutex<JwkSet>,
    fetches: AtomicU64,
    fetched_at: AtomicI64,
}

impl SessionKeys {
    pub(crate) fn new(issuer: String, broker: Arc<dyn Standing>, clock: Arc<dyn Clock>) -> Self {
        Self {
            broker,
            clock,
            verifier: TokenVerifier::new(issuer, &JwkSet::default()),
            current: Mutex::default(),
            fetches: AtomicU64::new(0),
            fetched_at: AtomicI64::new(i64::MIN),
        }
    }

    /// Checks everything about a token that does not need the broker.
    pub(crate) async fn verify(&self, unverified_token: &str) -> Result<VerifiedToken, CallerError> {
        let now = self.clock.now();
        if !self.verifier.has_keys() {
            self.fetch_with_others().await;
            if !self.verifier.has_keys() {
                return Err(BrokerUnreachable.into());
            }
        } else if self.is_older_than(OLDEST, now)
            && let Ok(current) = self.current.try_lock()
        {
            // The others go on with the keys they have: whether a session stands is asked apart.
            self.fetch(current).await;
        }
        match self.verifier.verify(unverified_token, now) {
            Err(TokenError::Invalid) if self.is_older_than(BETWEEN_LOOKS, now) => {
                self.fetch_with_others().await;
                Ok(self.verifier.verify(unverified_token, now)?)
            }
            checked => Ok(checked?),
        }
    }

    /// Fetches the keys, or waits for a fetch that is under way.
    pub(crate) async fn fetch_with_others(&self) {
        let before = self.fetches.load(Ordering::Acquire);
        let current = self.current.lock().await;
        if self.fetches.load(Ordering::Acquire) == before {
            self.fetch(current).await;
        }
    }

    async fn fetch(&self, mut current: tokio::sync::MutexGuard<'_, JwkSet>) {
        match self.broker.session_keys().await {
            Ok(keys) if keys.keys.is_empty() => tracing::warn!("the broker has no session keys"),
            // Replacing keys forgets the tokens recognised so far.
            Ok(keys) if keys != *current => {
                self.verifier.replace_keys(&keys);
                tracing::info!(keys = keys.keys.len(), "session keys loaded");
                *current = keys;
            }
            Ok(_) => {}
            Err(BrokerUnreachable) => tracing::warn!("session keys could not be fetched"),
        }
        self.fetched_at.store(self.clock.now().as_unix(), Ordering::Release);
        self.fetches.fetch_add(1, Ordering::Release);
    }

    fn is_older_than(&self, age: Duration, now: Timestamp) -> bool {
        let fetched_at = Timestamp::from_unix(self.fetched_at.load(Ordering::Acquire));
        now < fetched_at || now >= fetched_at.after(age)
    }
}
