use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkeys_crypto::JwkSet;
use agentkeys_types::{Clock, SessionId, Timestamp};
use async_trait::async_trait;
use quick_cache::sync::Cache;
use tokio::sync::OnceCell;

/// The longest time for which a yes is believed, whatever the broker says.
const LONGEST_YES: Duration = Duration::from_secs(5);
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

    /// Whether the session stands, and for how long that may be believed.
    async fn of(&self, session: SessionId) -> Result<agentkeys_api::Standing, BrokerUnreachable>;
}

/// Believes a yes for a few seconds, and asks once for all who wait for the same session.
#[derive(Debug)]
pub(crate) struct Standings {
    broker: Arc<dyn Standing>,
    clock: Arc<dyn Clock>,
    yes: Cache<SessionId, Yes>,
    asking: Mutex<HashMap<SessionId, Arc<Question>>>,
}

type Question = OnceCell<Result<bool, BrokerUnreachable>>;

#[derive(Clone, Copy, Debug)]
struct Yes {
    asked: Timestamp,
    until: Timestamp,
}

impl Standings {
    pub(crate) fn new(broker: Arc<dyn Standing>, clock: Arc<dyn Clock>) -> Self {
        Self { broker, clock, yes: Cache::new(REMEMBERED_SESSIONS), asking: Mutex::default() }
    }

    /// Whether the session stands.
    pub(crate) async fn stands(&self, session: SessionId) -> Result<bool, BrokerUnreachable> {
        let now = self.clock.now();
        // A clock that stepped back must not stretch the answer.
        if self.yes.get(&session).is_some_and(|yes| yes.asked <= now && now < yes.until) {
            return Ok(true);
        }
        let question = Arc::clone(self.questions().entry(session).or_default());
        let answer = *question.get_or_init(|| self.ask(session)).await;
        let mut questions = self.questions();
        if questions.get(&session).is_some_and(|current| Arc::ptr_eq(current, &question)) {
            questions.remove(&session);
        }
        answer
    }

    async fn ask(&self, session: SessionId) -> Result<bool, BrokerUnreachable> {
        let asked = self.clock.now();
        let answer = self.broker.of(session).await?;
        if answer.standing {
            let until = asked.after(LONGEST_YES.min(Duration::from_secs(answer.valid_for)));
            self.yes.insert(session, Yes { asked, until });
        } else {
            self.yes.remove(&session);
        }
        Ok(answer.standing)
    }

    fn questions(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Arc<Question>>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
