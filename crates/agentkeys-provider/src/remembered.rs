use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkeys_types::{Clock, ProviderName, Timestamp};

use crate::{ProviderError, fetch::FetchError};

/// For how long what was fetched is as good as new.
const FRESH_FOR: Duration = Duration::from_hours(1);
/// For how long it is used while nothing newer can be had.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// What a provider publishes, fetched when first needed and kept.
///
/// However many ask at once and whatever they ask for, there is one fetch at a time, and none within the pause after
/// the last one began.
#[derive(Debug)]
pub(crate) struct Remembered<T> {
    what: &'static str,
    provider: ProviderName,
    clock: Arc<dyn Clock>,
    pause: Duration,
    kept: Mutex<Option<Kept<T>>>,
    /// When the last fetch began; held for as long as one goes on.
    last_began: tokio::sync::Mutex<Option<Timestamp>>,
}

#[derive(Debug)]
struct Kept<T> {
    value: Arc<T>,
    since: Timestamp,
}

impl<T: Send + Sync + 'static> Remembered<T> {
    pub(crate) fn new(what: &'static str, provider: ProviderName, clock: Arc<dyn Clock>, pause: Duration) -> Self {
        Self { what, provider, clock, pause, kept: Mutex::default(), last_began: tokio::sync::Mutex::default() }
    }

    /// What is kept, if it is fresh and `suits`; else what `fetch` gives; else what is kept, as long as it may be.
    pub(crate) async fn obtain(
        self: &Arc<Self>,
        suits: impl Fn(&T) -> bool + Send + 'static,
        fetch: impl Future<Output = Result<T, FetchError>> + Send + 'static,
    ) -> Result<Arc<T>, ProviderError> {
        if let Some(kept) = self.find(FRESH_FOR).filter(|kept| suits(kept)) {
            return Ok(kept);
        }
        let this = self.clone();
        // A fetch that has begun is waited for, also when whoever asked is gone: it was the only one for some time.
        let renewal = tokio::spawn(async move { this.renew(suits, fetch).await });
        renewal.await.unwrap_or_default().ok_or(ProviderError::Unavailable)
    }

    async fn renew(
        &self,
        suits: impl Fn(&T) -> bool,
        fetch: impl Future<Output = Result<T, FetchError>>,
    ) -> Option<Arc<T>> {
        let mut last_began = self.last_began.lock().await;
        if let Some(kept) = self.find(FRESH_FOR).filter(|kept| suits(kept)) {
            return Some(kept);
        }
        let now = self.clock.now();
        // After the clock has been set back, the pause is counted anew and not until it has caught up.
        let last = last_began.map(|last| last.min(now));
        if last.is_some_and(|last| now.since(last) < self.pause) {
            *last_began = last;
            return self.find(KEPT_FOR);
        }
        *last_began = Some(now);
        match fetch.await {
            Ok(value) => {
                let value = Arc::new(value);
                let kept = Kept { value: value.clone(), since: now };
                *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                Some(value)
            }
            Err(error) => {
                let (provider, what) = (self.provider.as_str(), self.what);
                tracing::warn!(provider, what, error = ?error, "what an identity provider publishes cannot be fetched");
                self.find(KEPT_FOR)
            }
        }
    }

    /// What is kept and no older than `limit`.
    fn find(&self, limit: Duration) -> Option<Arc<T>> {
        let now = self.clock.now();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|kept| kept.since <= now && now.since(kept.since) < limit).map(|kept| kept.value.clone())
    }
}
