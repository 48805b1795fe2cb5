use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agentkeys_api::{DaemonState, DaemonStatus};
use agentkeys_client::ClientError;
use agentkeys_types::{Clock, Timestamp};
use async_trait::async_trait;

use crate::{CredentialSource, Issued};

/// Credentials that would end on the way to their use are not handed out.
const MARGIN: Duration = Duration::from_secs(10);
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Hands out the same credentials again until they are about to expire.
///
/// Wraps any [`CredentialSource`] and is one itself. However many ask at once, the source is asked once; whoever
/// comes while credentials are at hand never waits. While a renewal fails, those at hand go on being handed out
/// for as long as they live, unless the person must sign in again: then they are dropped at once.
#[derive(Debug)]
pub struct Cached<S> {
    source: S,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
    /// Held by whoever asks the source.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    issued: Option<(Issued, Timestamp)>,
    failure: Option<Failure>,
    /// How often the source has answered: tells those who waited whether the answer is news to them.
    answers: u64,
}

#[derive(Clone, Debug)]
struct Failure {
    error: ClientError,
    at: Timestamp,
    next_attempt: Timestamp,
    in_a_row: u32,
}

impl<S: CredentialSource> Cached<S> {
    /// Wraps `source`; asks it for nothing yet.
    pub fn new(source: S, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, kept: Mutex::default(), flight: tokio::sync::Mutex::default() }
    }

    /// The source.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Renews the credentials if it is time to, and says when it is next: at two thirds of their life, or after a
    /// pause that grows while attempts fail.
    pub async fn refresh_if_due(&self) -> Timestamp {
        let (due, answers) = {
            let kept = self.lock();
            (kept.due(), kept.answers)
        };
        if due.is_some_and(|due| self.clock.now() >= due)
            && let Err(error) = self.refresh(answers).await
        {
            tracing::warn!(%error, code = error.code(), "credentials could not be renewed");
        }
        // Nothing is due while a person must sign in; looking again now and then costs nothing.
        self.lock().due().unwrap_or_else(|| self.clock.now().after(LONGEST_PAUSE))
    }

    /// Asks the source at once, due or not.
    pub async fn renew(&self) -> Result<Issued, ClientError> {
        let seen = self.lock().answers;
        self.refresh(seen).await
    }

    /// Forgets everything, after the source has changed.
    pub fn forget(&self) {
        let mut kept = self.lock();
        (kept.issued, kept.failure) = (None, None);
    }

    /// How it is doing.
    pub fn status(&self, profile: &str) -> DaemonStatus {
        let kept = self.lock();
        let live = kept.live(self.clock.now());
        let state = match (&live, &kept.failure) {
            (Some(_), _) => DaemonState::Ready,
            (None, None) => DaemonState::Starting,
            (None, Some(failure)) if failure.error.needs_sign_in() => DaemonState::SignInNeeded,
            (None, Some(_)) => DaemonState::Retrying,
        };
        DaemonStatus {
            profile: profile.to_owned(),
            state,
            account: live.map(|issued| issued.account),
            wallet: live.map(|issued| issued.wallet),
            credentials_expire_at: live.map(|issued| issued.credentials.expires_at),
            last_error: kept.failure.as_ref().map(|failure| failure.error.to_string()),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            endpoint: None,
            roles: Vec::new(),
            agents: Vec::new(),
        }
    }

    /// Asks the source, unless somebody did since it had given `seen` answers: then theirs will do.
    async fn refresh(&self, seen: u64) -> Result<Issued, ClientError> {
        let _flight = self.flight.lock().await;
        if let Some(answer) = self.lock().answer_after(seen) {
            return answer;
        }
        let answer = self.source.fetch().await;
        self.lock().keep(&answer, self.clock.now());
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<S: CredentialSource> CredentialSource for Cached<S> {
    async fn fetch(&self) -> Result<Issued, ClientError> {
        let seen = {
            let (kept, now) = (self.lock(), self.clock.now());
            if let Some(issued) = kept.live(now) {
                return Ok(issued.clone());
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
}

impl Kept {
    fn live(&self, now: Timestamp) -> Option<&Issued> {
        let (issued, _) = self.issued.as_ref()?;
        (now.after(MARGIN) < issued.credentials.expires_at).then_some(issued)
    }

    /// When the source is to be asked next; never, while a person must sign in.
    fn due(&self) -> Option<Timestamp> {
        match (&self.failure, &self.issued) {
            (Some(failure), _) if failure.error.needs_sign_in() => None,
            (Some(failure), _) => Some(failure.next_attempt),
            (None, Some((_, due))) => Some(*due),
            (None, None) => Some(Timestamp::from_unix(i64::MIN)),
        }
    }

    fn answer_after(&self, seen: u64) -> Option<Result<Issued, ClientError>> {
        if self.answers == seen {
            return None;
        }
        match (&self.failure, &self.issued) {
            (Some(failure), _) => Some(Err(failure.error.clone())),
            (None, issued) => issued.as_ref().map(|(issued, _)| Ok(issued.clone())),
        }
    }

    fn keep(&mut self, answer: &Result<Issued, ClientError>, now: Timestamp) {
        self.answers += 1;
        match answer {
            Ok(issued) => {
                let life = issued.credentials.expires_at.since(now);
                self.issued = Some((issued.clone(), now.after(life * 2 / 3).before(jitter(life / 10))));
                self.failure = None;
            }
            Err(error) => {
                let in_a_row = self.failure.as_ref().map_or(0, |failure| failure.in_a_row) + 1;
                let pause = Duration::from_secs(1 << in_a_row.min(6)).min(LONGEST_PAUSE);
                let pause = pause.max(wish(error).unwrap_or_default());
                let next_attempt = now.after(pause + jitter(pause / 4));
                if error.needs_sign_in() {
                    self.issued = None;
                }
                self.failure = Some(Failure { error: error.clone(), at: now, next_attempt, in_a_row });
            }
        }
    }
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
