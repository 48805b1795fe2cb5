use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agentkeys_crypto::JwkSet;
use agentkeys_types::{Clock, SessionId, Timestamp};
use async_trait::async_trait;
use quick_cache::sync::Cache;
use tokio::sync::OnceCell;

/// The longest time for which a yes is believed, whatever the broker says.
const LONGEST_YES: Duration = Duration::from_secs(5);
/// For how long the broker holds its answer back while a session stands: short enough that the answer to the next
/// question comes before this one is too old.
const WAIT: Duration = Duration::from_secs(2);
/// Between a question that failed and the next one.
const PAUSE: Duration = Duration::from_secs(1);
/// How many questions in a row see no use of the session before it is let go.
const LAST_LOOKS: u32 = 15;
const REMEMBERED_SESSIONS: usize = 16_384;

/// The broker did not answer, or not sensibly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker cannot be reached")]
pub struct BrokerUnreachable;

/// What a signer asks the broker. No token is ever part of a question.
#[async_trait]
pub trait Standing: Send + Sync + fmt::Debug {
    /// The keys that sign session tokens today.
    async fn session_keys(&self) -> Result<JwkSet, BrokerUnreachable>;

    /// Whether the session stands, and for how long that may be believed: at once when it does not, and after
    /// `wait` when it still does.
    async fn of(&self, session: SessionId, wait: Duration) -> Result<agentkeys_api::Standing, BrokerUnreachable>;
}

/// Believes a yes for a few seconds, and asks once for all who wait for the same session.
///
/// While a session is in use the broker holds a question about it, so that a revocation is known at once, and
/// whoever comes need not wait for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Standings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    broker: Arc<dyn Standing>,
    clock: Arc<dyn Clock>,
    yes: Cache<SessionId, Arc<Yes>>,
    asking: Mutex<HashMap<SessionId, Arc<Question>>>,
    watched: Mutex<HashSet<SessionId>>,
}

type Question = OnceCell<Result<Option<Arc<Yes>>, BrokerUnreachable>>;

#[derive(Debug)]
struct Yes {
    asked: Timestamp,
    until: Timestamp,
    renewed_at: Option<Timestamp>,
    is_used: AtomicBool,
}

impl Standings {
    pub(crate) fn new(broker: Arc<dyn Standing>, clock: Arc<dyn Clock>) -> Self {
        let (asking, watched) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { broker, clock, yes: Cache::new(REMEMBERED_SESSIONS), asking, watched }))
    }

    /// Whether the session stands, for a token that was issued at `issued_at`.
    pub(crate) async fn stands(&self, session: SessionId, issued_at: i64) -> Result<bool, BrokerUnreachable> {
        let yes = match self.0.believed(session) {
            Some(yes) => Some(yes),
            None => self.ask_with_others(session).await?,
        };
        Ok(yes.is_some_and(|yes| {
            yes.is_used.store(true, Ordering::Relaxed);
            yes.renewed_at.is_none_or(|renewed_at| issued_at >= renewed_at.as_unix())
        }))
    }

    async fn ask_with_others(&self, session: SessionId) -> Result<Option<Arc<Yes>>, BrokerUnreachable> {
        let question = Arc::clone(locked(&self.0.asking).entry(session).or_default());
        let answer = question.get_or_init(|| self.0.ask(session, Duration::ZERO)).await.clone();
        {
            let mut questions = locked(&self.0.asking);
            if questions.get(&session).is_some_and(|current| Arc::ptr_eq(current, &question)) {
                questions.remove(&session);
            }
        }
        if matches!(answer, Ok(Some(_))) && locked(&self.0.watched).insert(session) {
            tokio::spawn(watch(Arc::downgrade(&self.0), session));
        }
        answer
    }
}

impl Shared {
    fn believed(&self, session: SessionId) -> Option<Arc<Yes>> {
        let now = self.clock.now();
        // A clock that stepped back must not stretch the answer.
        self.yes.get(&session).filter(|yes| yes.asked <= now && now < yes.until)
    }

    async fn ask(&self, session: SessionId, wait: Duration) -> Result<Option<Arc<Yes>>, BrokerUnreachable> {
        let asked = self.clock.now();
        let answer = self.broker.of(session, wait).await?;
        if !answer.standing {
            self.yes.remove(&session);
            return Ok(None);
        }
        let until = asked.after(LONGEST_YES.min(Duration::from_secs(answer.valid_for)));
        let is_used = AtomicBool::new(false);
        let yes = Arc::new(Yes { asked, until, renewed_at: answer.renewed_at, is_used });
        self.yes.insert(session, Arc::clone(&yes));
        Ok(Some(yes))
    }
}

/// Has the broker hold a question about the session for as long as it stands, is in use, and the signer lives.
///
/// A mere outage ends nothing: what was believed grows old by itself.
async fn watch(standings: std::sync::Weak<Shared>, session: SessionId) {
    let mut looks = 0;
    while let Some(shared) = standings.upgrade() {
        let is_used = shared.yes.get(&session).is_some_and(|yes| yes.is_used.swap(false, Ordering::Relaxed));
        looks = if is_used { 0 } else { looks + 1 };
        let answer = if looks > LAST_LOOKS { Ok(None) } else { shared.ask(session, WAIT).await };
        match answer {
            Ok(Some(_)) => {}
            Ok(None) => {
                locked(&shared.watched).remove(&session);
                return;
            }
            Err(BrokerUnreachable) => {
                drop(shared);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
