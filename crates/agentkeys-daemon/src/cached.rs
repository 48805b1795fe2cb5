use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agentkeys_client::ClientError;
use agentkeys_types::{Clock, Timestamp};

use crate::{Ending, Fetch};

/// What would end on the way to its use is not handed out; nor in the last quarter of a short life.
const MARGIN: Duration = Duration::from_secs(10);
/// For how long after somebody has asked attempts go on, where none has succeeded yet.
const FIRST_PATIENCE: Duration = Duration::from_mins(30);
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Hands out the same again until it is about to expire.
///
/// However many ask at once, one is fetched; whoever comes while it is at hand never waits. It is renewed in time
/// for as long as somebody asks: what nobody has asked for during two of its lives is let go.
/// While a renewal fails, the one at hand goes on being handed out for as long as it lives, unless the person must
/// sign in again: then it is dropped at once.
#[derive(Debug)]
pub struct Cached<F: Fetch> {
    from: F,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept<F::Item>>,
    /// Held by whoever fetches.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Kept<T> {
    fresh: Option<Fresh<T>>,
    failure: Option<Failure>,
    /// When somebody asked last.
    asked: Option<Timestamp>,
    /// For how long after that it is still wanted.
    patience: Duration,
    /// How many answers there were: tells those who waited whether the last one is news to them.
    answers: u64,
}

#[derive(Debug)]
struct Fresh<T> {
    item: T,
    due: Timestamp,
    /// From when on it is not handed out any more.
    stale: Timestamp,
}

#[derive(Clone, Debug)]
struct Failure {
    error: ClientError,
    at: Timestamp,
    next_attempt: Timestamp,
    in_a_row: u32,
}

/// How it is with what is kept.
#[derive(Clone, Debug)]
pub struct Condition<T> {
    /// What is at hand.
    pub at_hand: Option<T>,
    /// Why the last attempt to fetch one failed, if it did.
    pub failure: Option<ClientError>,
    /// Whether somebody has asked not so long ago.
    pub is_wanted: bool,
}

impl<T> Default for Condition<T> {
    fn default() -> Self {
        Self { at_hand: None, failure: None, is_wanted: false }
    }
}

impl<F: Fetch> Cached<F> {
    /// Wraps `from`; fetches nothing yet.
    pub fn new(from: F, clock: Arc<dyn Clock>) -> Self {
        let kept = Kept { fresh: None, failure: None, asked: None, patience: FIRST_PATIENCE, answers: 0 };
        Self { from, clock, kept: Mutex::new(kept), flight: tokio::sync::Mutex::default() }
    }

    /// What it fetches from.
    pub fn from(&self) -> &F {
        &self.from
    }

    /// One that is good for some time yet.
    pub async fn fetch(&self) -> Result<F::Item, ClientError> {
        let seen = {
            let (mut kept, now) = (self.lock(), self.clock.now());
            kept.asked = Some(now);
            if let Some(item) = kept.live(now) {
                return Ok(item.clone());
            }
            match &kept.failure {
                // Asking again changes nothing until a person has signed in, nor within the same second.
                Some(failure) if failure.error.needs_sign_in() || now <= failure.at => {
                    return Err(failure.error.clone());
                }
                _ => kept.answers,
            }
        };
        self.refresh(seen).await
    }

    /// Fetches at once, due or not.
    pub async fn renew(&self) -> Result<F::Item, ClientError> {
        let seen = self.lock().answers;
        self.refresh(seen).await
    }

    /// Renews what is at hand if it is time to and somebody wants it, and says when it is next: at two thirds of its
    /// life, or after a pause that grows while attempts fail; never, while nobody asks.
    pub async fn refresh_if_due(&self) -> Option<Timestamp> {
        let answers = {
            let (mut kept, now) = (self.lock(), self.clock.now());
            match kept.due() {
                Some(due) if now >= due && kept.is_wanted(now) => kept.answers,
                Some(due) if now >= due => {
                    kept.let_go();
                    return None;
                }
                due => return due,
            }
        };
        if let Err(error) = self.refresh(answers).await {
            tracing::warn!(%error, code = error.code(), "what was asked for could not be renewed");
        }
        self.lock().due()
    }

    /// Forgets everything, after the source has changed.
    pub fn forget(&self) {
        self.lock().let_go();
    }

    /// How it is doing.
    pub fn condition(&self) -> Condition<F::Item> {
        let (kept, now) = (self.lock(), self.clock.now());
        Condition {
            at_hand: kept.live(now).cloned(),
            failure: kept.failure.as_ref().map(|failure| failure.error.clone()),
            is_wanted: kept.is_wanted(now),
        }
    }

    /// Whether one is at hand that can be handed out.
    pub(crate) fn is_at_hand(&self) -> bool {
        let now = self.clock.now();
        self.lock().live(now).is_some()
    }

    /// Fetches one, unless somebody did since there were `seen` answers: then theirs will do.
    async fn refresh(&self, seen: u64) -> Result<F::Item, ClientError> {
        let _flight = self.flight.lock().await;
        if let Some(answer) = self.lock().answer_after(seen) {
            return answer;
        }
        let answer = self.from.fetch().await;
        self.lock().keep(&answer, self.clock.now());
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Kept<F::Item>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Ending> Kept<T> {
    fn live(&self, now: Timestamp) -> Option<&T> {
        let fresh = self.fresh.as_ref()?;
        (now < fresh.stale).then_some(&fresh.item)
    }

    /// When it is to be fetched next; never, while a person must sign in or nobody wants it.
    fn due(&self) -> Option<Timestamp> {
        match (&self.failure, &self.fresh) {
            (Some(failure), _) if failure.error.needs_sign_in() => None,
            (Some(failure), _) => Some(failure.next_attempt),
            (None, Some(fresh)) => Some(fresh.due),
            (None, None) => None,
        }
    }

    fn is_wanted(&self, now: Timestamp) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) < self.patience)
    }

    fn let_go(&mut self) {
        (self.fresh, self.failure, self.asked) = (None, None, None);
    }

    fn answer_after(&self, seen: u64) -> Option<Result<T, ClientError>> {
        if self.answers == seen {
            return None;
        }
        match (&self.failure, &self.fresh) {
            (Some(failure), _) => Some(Err(failure.error.clone())),
            (None, fresh) => fresh.as_ref().map(|fresh| Ok(fresh.item.clone())),
        }
    }

    fn keep(&mut self, answer: &Result<T, ClientError>, now: Timestamp) {
        self.answers += 1;
        match answer {
            Ok(item) => {
                let ends = item.expires_at();
                let life = ends.since(now);
                let due = now.after(life * 2 / 3).before(jitter(life / 10));
                self.fresh = Some(Fresh { item: item.clone(), due, stale: ends.before(MARGIN.min(life / 4)) });
                (self.failure, self.patience) = (None, life * 2);
            }
            Err(error) => {
                let in_a_row = self.failure.as_ref().map_or(0, |failure| failure.in_a_row) + 1;
                let pause = Duration::from_secs(1 << in_a_row.min(6)).min(LONGEST_PAUSE);
                let pause = pause.max(wish(error).unwrap_or_default());
                let next_attempt = now.after(pause + jitter(pause / 4));
                if is_final(error) {
                    self.fresh = None;
                }
                self.failure = Some(Failure { error: error.clone(), at: now, next_attempt, in_a_row });
            }
        }
    }
}

/// Whether what is at hand may not be handed out any more either.
fn is_final(error: &ClientError) -> bool {
    let is_cut_off = |error: &ClientError| match error {
        ClientError::Problem { problem, .. } => {
            use agentkeys_api::ErrorCode::{AgentNotAllowed, AgentUnknown};
            matches!(problem.error, AgentNotAllowed | AgentUnknown)
        }
        _ => false,
    };
    error.needs_sign_in() || is_cut_off(error)
}

/// How long the server asked to be left alone.
fn wish(error: &ClientError) -> Option<Duration> {
    match error {
        ClientError::Problem { retry_after, .. } => retry_after.map(|wait| wait.min(LONGEST_PAUSE)),
        _ => None,
    }
}

/// Part of `range`, so that the daemons of a team do not all ask in the same second.
fn jitter(range: Duration) -> Duration {
    // Not a secret, so the hasher's random keys are random enough.
    range.mul_f64(f64::from(u16::try_from(RandomState::new().hash_one(0) >> 48).unwrap_or(0)) / f64::from(u16::MAX))
}
