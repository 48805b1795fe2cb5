use std::time::Duration;

use agentkeys_api::OauthError;
use tokio::time::{Instant, sleep_until};

use crate::ClientError;

/// No server is asked more often, whatever interval it names.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// RFC 8628 section 3.5.
const SLOWER: Duration = Duration::from_secs(5);
const LONGEST_BACK_OFF: Duration = Duration::from_mins(1);

/// Asks every `interval` whether a person has approved, until the answer is there or `expires_in` is over.
///
/// It asks more seldom when it is told to, and when the server is away: that is not the end (RFC 8628 section 3.5).
pub(crate) async fn wait_for_a_person<A, F>(
    interval: u64,
    expires_in: u64,
    mut ask: impl FnMut() -> F,
) -> Result<A, ClientError>
where
    F: Future<Output = Result<Option<A>, ClientError>>,
{
    let end = Instant::now() + Duration::from_secs(expires_in);
    let mut pace = Pace::new(Duration::from_secs(interval));
    let mut pause = pace.interval;
    loop {
        let next = Instant::now() + pause;
        if next >= end {
            sleep_until(end).await;
            return Err(ClientError::NotApproved);
        }
        sleep_until(next).await;
        match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => pause = pace.after_an_answer(),
            Err(error) => pause = pace.after(error)?,
        }
    }
}

/// How long to wait between two questions.
struct Pace {
    interval: Duration,
    failures: u32,
}

impl Pace {
    fn new(interval: Duration) -> Self {
        Self { interval: interval.max(SHORTEST_PAUSE), failures: 0 }
    }

    fn after_an_answer(&mut self) -> Duration {
        self.failures = 0;
        self.interval
    }

    /// How long to wait after `error`, unless it ends the waiting.
    fn after(&mut self, error: ClientError) -> Result<Duration, ClientError> {
        match &error {
            ClientError::Oauth { problem, .. } if problem.error == OauthError::AuthorizationPending => {
                Ok(self.after_an_answer())
            }
            ClientError::Oauth { problem, .. } if problem.error == OauthError::SlowDown => {
                self.interval += SLOWER;
                Ok(self.after_an_answer())
            }
            ClientError::Oauth { retry_after: Some(wait), .. }
            | ClientError::Problem { retry_after: Some(wait), .. }
                if error.retryable() =>
            {
                Ok(self.interval.max(*wait))
            }
            error if error.retryable() => Ok(self.back_off()),
            _ => Err(error),
        }
    }

    fn back_off(&mut self) -> Duration {
        self.failures += 1;
        let longer = self.interval.saturating_mul(2_u32.saturating_pow(self.failures));
        longer.min(LONGEST_BACK_OFF).max(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, sync::Arc};

    use agentkeys_api::{ErrorCode, OauthProblem, Problem};

    use super::*;

    type Answer = Result<Option<&'static str>, ClientError>;

    fn oauth(error: OauthError) -> Answer {
        Err(ClientError::Oauth { problem: OauthProblem { error, error_description: "".into() }, retry_after: None })
    }

    fn away() -> Answer {
        let source = Arc::from(Box::<dyn std::error::Error + Send + Sync>::from("no route to host"));
        Err(ClientError::Unreachable { url: "https://broker.example.com".to_owned(), source })
    }

    fn busy(seconds: u64) -> Answer {
        let problem = Problem::new(ErrorCode::RateLimited, "…");
        Err(ClientError::Problem { problem, retry_after: Some(Duration::from_secs(seconds)) })
    }

    /// What came of it, and after how many seconds each question was asked.
    async fn wait(
        interval: u64,
        expires_in: u64,
        answers: Vec<Answer>,
    ) -> (Result<&'static str, ClientError>, Vec<u64>) {
        let (start, mut asked, mut answers) = (Instant::now(), Vec::new(), VecDeque::from(answers));
        let outcome = wait_for_a_person(interval, expires_in, || {
            asked.push(start.elapsed().as_secs());
            let answer = answers.pop_front().unwrap_or(Ok(None));
            async move { answer }
        })
        .await;
        (outcome, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn it_asks_at_the_interval_of_the_server() {
        let pending = || oauth(OauthError::AuthorizationPending);

        let (outcome, asked) = wait(5, 600, vec![pending(), Ok(None), Ok(Some("approved"))]).await;

        assert_eq!((outcome.unwrap(), asked), ("approved", vec![5, 10, 15]));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_down_counts_for_good() {
        let answers = vec![oauth(OauthError::SlowDown), Ok(None), oauth(OauthError::SlowDown), Ok(Some("approved"))];

        let (outcome, asked) = wait(5, 600, answers).await;

        assert_eq!((outcome.unwrap(), asked), ("approved", vec![5, 15, 25, 40]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_is_asked_more_and_more_seldom_until_it_is_back() {
        let answers = vec![away(), away(), away(), away(), away(), Ok(None), Ok(Some("approved"))];

        let (outcome, asked) = wait(5, 600, answers).await;

        assert_eq!((outcome.unwrap(), asked), ("approved", vec![5, 15, 35, 75, 135, 195, 200]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
        let (outcome, asked) = wait(5, 600, vec![busy(30), busy(1), Ok(Some("approved"))]).await;

        assert_eq!((outcome.unwrap(), asked), ("approved", vec![5, 35, 40]));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_time_that_there_was() {
        let start = Instant::now();

        let (outcome, asked) = wait(5, 12, vec![]).await;

        assert!(matches!(outcome, Err(ClientError::NotApproved)));
        assert_eq!((asked, start.elapsed().as_secs()), (vec![5, 10], 12));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ends_it_at_once() {
        let (outcome, asked) = wait(5, 600, vec![oauth(OauthError::AccessDenied), Ok(Some("approved"))]).await;

        assert!(
            matches!(outcome, Err(ClientError::Oauth { problem, .. }) if problem.error == OauthError::AccessDenied)
        );
        assert_eq!(asked, [5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_names_no_interval_is_not_asked_without_a_pause() {
        let start = Instant::now();

        wait(0, 600, vec![Ok(None), Ok(Some("approved"))]).await.0.unwrap();

        assert_eq!(start.elapsed(), 2 * SHORTEST_PAUSE);
    }
}
