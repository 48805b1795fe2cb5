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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use agentkeys_testing::ManualClock;
    use tokio::sync::Notify;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    struct Bench {
        clock: Arc<ManualClock>,
        remembered: Arc<Remembered<usize>>,
        fetched: Arc<AtomicUsize>,
    }

    impl Bench {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::default());
            let remembered = Remembered::new("numbers", "acme".parse().unwrap(), clock.clone(), PAUSE);
            Self { clock, remembered: Arc::new(remembered), fetched: Arc::default() }
        }

        /// Asks for something that is never there.
        async fn ask_in_vain(&self) -> Result<Arc<usize>, ProviderError> {
            let fetched = self.fetched.clone();
            let fetch = async move {
                tokio::task::yield_now().await;
                Ok(fetched.fetch_add(1, Ordering::SeqCst))
            };
            self.remembered.obtain(|_| false, fetch).await
        }

        fn fetched(&self) -> usize {
            self.fetched.load(Ordering::SeqCst)
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn ten_thousand_who_ask_in_vain_cause_one_fetch_in_each_pause() {
        let bench = Bench::new();

        for round in 1..=3 {
            let answers = futures_util::future::join_all((0..10_000).map(|_| bench.ask_in_vain())).await;

            assert!(answers.iter().all(Result::is_ok));
            assert_eq!(bench.fetched(), round);
            bench.clock.advance(PAUSE);
        }
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_neither_opens_the_gate_nor_shuts_it_for_good() {
        let bench = Bench::new();
        bench.ask_in_vain().await.unwrap();

        bench.clock.step_back(Duration::from_hours(5));
        assert!(bench.ask_in_vain().await.is_err());
        assert_eq!(bench.fetched(), 1);

        bench.clock.advance(PAUSE);
        assert!(bench.ask_in_vain().await.is_ok());
        assert_eq!(bench.fetched(), 2);
    }

    #[tokio::test]
    async fn a_fetch_goes_on_when_whoever_asked_is_gone() {
        let bench = Bench::new();
        let (begun, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (begun.clone(), goes_on.clone());
        let fetch = async move {
            tell.notify_one();
            wait.notified().await;
            Ok(7)
        };
        let remembered = bench.remembered.clone();
        let asking = tokio::spawn(async move { remembered.obtain(|_| true, fetch).await });
        begun.notified().await;

        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        goes_on.notify_one();

        let unused = async { unreachable!("the first fetch has given the value") };
        assert_eq!(*bench.remembered.obtain(|_| true, unused).await.unwrap(), 7);
    }
}
