use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agentkeys_api::{ErrorCode, Problem};
use agentkeys_client::ClientError;
use agentkeys_types::{Clock, Timestamp};
use tokio::time::Instant;

use crate::{Ending, Fetch};

/// What would end on the way to its use is not handed out; nor in the last quarter of a short life.
const MARGIN: Duration = Duration::from_secs(10);
/// For how long after somebody has asked attempts go on, where none has succeeded yet.
const FIRST_PATIENCE: Duration = Duration::from_mins(30);
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Hands out the same again until it is about to expire.
///
/// However many ask at once, one is fetched, and it arrives also when whoever asked first has gone away; whoever comes
/// while it is at hand never waits. It is renewed in time for as long as somebody asks: what nobody has asked for
/// during two of its lives is let go. While a renewal fails, the one at hand goes on being handed out for as long as it
/// lives, unless the person must sign in again: then it is dropped at once.
///
/// It lives until its end by the clock, and no longer than it had to live when it came, if the clock was set back since.
#[derive(Debug)]
pub struct Cached<F: Fetch>(Arc<Shared<F>>);

#[derive(Debug)]
struct Shared<F: Fetch> {
    from: F,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept<F::Item>>,
    /// Held by whoever fetches.
    flight: Arc<tokio::sync::Mutex<()>>,
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
    /// When it came, by a clock that nobody sets.
    came: Instant,
    due: Term,
    /// From when on it is not handed out any more.
    stale: Term,
}

/// A moment of the wall clock, and how long after the arrival it is.
#[derive(Clone, Copy, Debug)]
struct Term {
    at: Timestamp,
    after: Duration,
}

#[derive(Clone, Debug)]
struct Failure {
    error: ClientError,
    at: Timestamp,
    next_attempt: Timestamp,
    pause: Duration,
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
        Self(Arc::new(Shared { from, clock, kept: Mutex::new(kept), flight: Arc::default() }))
    }

    /// What it fetches from.
    pub fn from(&self) -> &F {
        &self.0.from
    }

    /// One that is good for some time yet.
    pub async fn fetch(&self) -> Result<F::Item, ClientError> {
        let seen = {
            let (mut kept, now) = (self.lock(), self.0.clock.now());
            kept.asked = Some(now);
            if let Some(item) = kept.live(now) {
                return Ok(item.clone());
            }
            match &kept.failure {
                // Asking again changes nothing until a person has signed in, nor within the same second.
                Some(failure) if is_up_to_the_person(&failure.error) || now == failure.at => {
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
            let (mut kept, now) = (self.lock(), self.0.clock.now());
            match kept.due(now) {
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
        self.lock().due(self.0.clock.now())
    }

    /// How it is doing.
    pub fn condition(&self) -> Condition<F::Item> {
        let (kept, now) = (self.lock(), self.0.clock.now());
        Condition {
            at_hand: kept.live(now).cloned(),
            failure: kept.failure.as_ref().map(|failure| failure.error.clone()),
            is_wanted: kept.is_wanted(now),
        }
    }

    /// Whether one is at hand that can be handed out.
    pub(crate) fn is_at_hand(&self) -> bool {
        let now = self.0.clock.now();
        self.lock().live(now).is_some()
    }

    /// Whether a person must sign in before one can be had.
    pub(crate) fn is_shut_out(&self) -> bool {
        self.lock().failure.as_ref().is_some_and(|failure| failure.error.needs_sign_in())
    }

    /// Fetches one, unless somebody did since there were `seen` answers: then theirs will do.
    async fn refresh(&self, seen: u64) -> Result<F::Item, ClientError> {
        let flight = Arc::clone(&self.0.flight).lock_owned().await;
        if let Some(answer) = self.lock().answer_after(seen, self.0.clock.now()) {
            return answer;
        }
        // In a task of its own: whoever asks may go away, and the others wait for what was begun.
        let shared = Arc::clone(&self.0);
        let fetching = tokio::spawn(async move {
            let answer = shared.fetch().await;
            drop(flight);
            answer
        });
        match fetching.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(answer) => answer,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The process ends.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<F::Item>> {
        self.0.lock()
    }
}

impl<F: Fetch> Shared<F> {
    async fn fetch(&self) -> Result<F::Item, ClientError> {
        let answer = self.from.fetch().await;
        let now = self.clock.now();
        let answer = answer.and_then(|item| if now < item.expires_at() { Ok(item) } else { Err(over_on_arrival()) });
        self.lock().keep(&answer, now);
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Kept<F::Item>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Ending> Kept<T> {
    fn live(&self, now: Timestamp) -> Option<&T> {
        let fresh = self.fresh.as_ref()?;
        (!fresh.left_until(fresh.stale, now).is_zero()).then_some(&fresh.item)
    }

    /// When it is to be fetched next; never, while a person must sign in or nobody wants it.
    fn due(&self, now: Timestamp) -> Option<Timestamp> {
        match (&self.failure, &self.fresh) {
            (Some(failure), _) if failure.error.needs_sign_in() => None,
            // The clock was set back where the pause is longer than any.
            (Some(failure), _) => Some(failure.next_attempt.min(now.after(failure.pause))),
            (None, Some(fresh)) => Some(now.after(fresh.left_until(fresh.due, now))),
            (None, None) => None,
        }
    }

    fn is_wanted(&self, now: Timestamp) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) < self.patience)
    }

    fn let_go(&mut self) {
        (self.fresh, self.failure, self.asked) = (None, None, None);
    }

    fn answer_after(&self, seen: u64, now: Timestamp) -> Option<Result<T, ClientError>> {
        if self.answers == seen {
            return None;
        }
        match &self.failure {
            Some(failure) => Some(Err(failure.error.clone())),
            None => self.live(now).cloned().map(Ok),
        }
    }

    fn keep(&mut self, answer: &Result<T, ClientError>, now: Timestamp) {
        self.answers += 1;
        match answer {
            Ok(item) => {
                let ends = item.expires_at();
                let life = ends.since(now);
                let due = (life * 2 / 3).saturating_sub(jitter(life / 10));
                let due = Term { at: now.after(due), after: due };
                let margin = MARGIN.min(life / 4);
                let stale = Term { at: ends.before(margin), after: life.saturating_sub(margin) };
                self.fresh = Some(Fresh { item: item.clone(), came: Instant::now(), due, stale });
                (self.failure, self.patience) = (None, life * 2);
            }
            Err(error) => {
                let in_a_row = self.failure.as_ref().map_or(0, |failure| failure.in_a_row) + 1;
                let pause = Duration::from_secs(1 << in_a_row.min(6)).min(LONGEST_PAUSE);
                let pause = pause.max(wish(error).unwrap_or_default());
                let pause = pause + jitter(pause / 4);
                let next_attempt = now.after(pause);
                if is_final(error) {
                    self.fresh = None;
                }
                self.failure = Some(Failure { error: error.clone(), at: now, next_attempt, pause, in_a_row });
            }
        }
    }
}

impl<T> Fresh<T> {
    /// How long it is to `term`: by the clock, or by the time that has passed, whichever is shorter.
    fn left_until(&self, term: Term, now: Timestamp) -> Duration {
        term.at.since(now).min(term.after.saturating_sub(self.came.elapsed()))
    }
}

/// What came has ended already, or this machine's clock is ahead.
fn over_on_arrival() -> ClientError {
    let detail = "what was fetched had ended before it came: compare the clock of this machine with the servers'";
    ClientError::Problem { problem: Problem::new(ErrorCode::StsUnavailable, detail), retry_after: None }
}

/// Whether a server has said that a person must sign in. What this machine knows by itself it may look at again.
fn is_up_to_the_person(error: &ClientError) -> bool {
    error.needs_sign_in() && matches!(error, ClientError::Problem { .. })
}

/// Whether what is at hand may not be handed out any more either.
pub(crate) fn is_final(error: &ClientError) -> bool {
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
