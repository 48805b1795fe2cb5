use std::time::Duration;

use http::{Request, Response};
use reqwest::{Client, redirect::Policy};
use tokio::time::timeout;

use crate::{Reach, SettingsError, reach::ReachableAddresses};

/// How long one exchange with a provider may take, from the resolution of its name to the last byte.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a provider's server gave no answer that can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Its URL is none that may be asked.
    #[error("its URL may not be asked")]
    Forbidden,
    /// What it answered is not of the form that the specifications ask for.
    #[error("{0}")]
    Malformed(&'static str),
    /// It took too long.
    #[error("it took too long")]
    TimedOut,
    /// It answers more than is read.
    #[error("its answer is too large")]
    TooLarge,
    /// The way there failed.
    #[error("it could not be reached")]
    Transport(#[source] reqwest::Error),
}

/// Asks a provider's servers: no redirect, no proxy, a limit to time and size, and only whom the reach allows.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client,
    reach: Reach,
    timeout: Duration,
}

impl Fetcher {
    pub(crate) fn new(reach: Reach) -> Result<Self, SettingsError> {
        let client = Client::builder()
            .user_agent(concat!("agentkeys/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(1))
            .dns_resolver(ReachableAddresses(reach))
            .build()
            .map_err(SettingsError::Http)?;
        Ok(Self { client, reach, timeout: FETCH_TIMEOUT })
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// The answer to `request`, whatever its status, with a body of at most `limit` bytes.
    pub(crate) async fn send(self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, FetchError> {
        timeout(self.timeout, self.exchange(request, limit)).await.unwrap_or(Err(FetchError::TimedOut))
    }

    async fn exchange(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, FetchError> {
        let request = reqwest::Request::try_from(request).map_err(transport)?;
        if !self.reach.allows(request.url()) {
            return Err(FetchError::Forbidden);
        }
        let mut response = self.client.execute(request).await.map_err(transport)?;
        // Nobody needs to wait for what is announced to be too much; what is not announced is counted.
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(FetchError::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > limit {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = Response::new(body);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

/// Without its URL, which may carry more than a log should.
fn transport(error: reqwest::Error) -> FetchError {
    FetchError::Transport(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_provider_for_more_than_five_seconds() {
        assert_eq!(Fetcher::new(Reach::Public).unwrap().timeout, Duration::from_secs(5));
    }

    #[tokio::test]
    async fn what_may_not_be_asked_is_not_asked() {
        let fetcher = Fetcher::new(Reach::Public).unwrap();
        let request = Request::get("https://169.254.169.254/latest/meta-data").body(Vec::new()).unwrap();

        let error = fetcher.send(request, 1).await.unwrap_err();

        assert!(matches!(error, FetchError::Forbidden));
    }
}
