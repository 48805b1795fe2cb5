use std::time::Duration;

use agentkeys_api::{StandingRequest, paths};
use agentkeys_crypto::JwkSet;
use agentkeys_types::SessionId;
use async_trait::async_trait;
use reqwest::{Client, RequestBuilder, Url, redirect};
use serde::de::DeserializeOwned;

use crate::standing::{BrokerUnreachable, Standing};

/// Someone waits for the answer, so a silent broker is given up soon.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Far more than any answer needs.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Why the broker cannot be asked under this URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerUrlError {
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made")]
    Client(#[from] reqwest::Error),
    /// Keys that came over an open wire prove nothing.
    #[error("the broker's URL must start with https://, unless it is on loopback")]
    NotPrivate,
}

/// Asks the broker over HTTP.
#[derive(Debug)]
pub struct BrokerStanding {
    client: Client,
    session_keys: Url,
    standing: Url,
}

impl BrokerStanding {
    /// Asks the broker at `broker`.
    ///
    /// # Errors
    ///
    /// When the URL is neither `https` nor on loopback.
    pub fn new(broker: &Url) -> Result<Self, BrokerUrlError> {
        let on_loopback = is_loopback(broker);
        if broker.scheme() != "https" && !(broker.scheme() == "http" && on_loopback) {
            return Err(BrokerUrlError::NotPrivate);
        }
        let mut client = Client::builder().timeout(LONGEST_WAIT).redirect(redirect::Policy::none());
        if on_loopback {
            client = client.no_proxy();
        }
        if broker.scheme() == "http" {
            // Reading the system's certificates would cost more time and memory than all the rest.
            client = client.tls_certs_only([]);
        }
        let at = |path: &str| {
            let mut url = broker.clone();
            url.set_path(&format!("{}{path}", broker.path().trim_end_matches('/')));
            url
        };
        Ok(Self {
            client: client.build()?,
            session_keys: at(paths::SESSION_KEYS),
            standing: at(paths::SESSIONS_STANDING),
        })
    }

    async fn ask<T: DeserializeOwned>(&self, question: RequestBuilder) -> Result<T, BrokerUnreachable> {
        let answer = async {
            let mut response = question.send().await?.error_for_status()?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                body.extend_from_slice(&chunk);
                if body.len() > LARGEST_ANSWER {
                    return Err("the answer is too long".into());
                }
            }
            serde_json::from_slice(&body).map_err(Box::from)
        };
        answer.await.map_err(|error: Box<dyn std::error::Error + Send + Sync>| {
            let cause = error.source().map(ToString::to_string);
            tracing::warn!(%error, cause, "the broker did not answer");
            BrokerUnreachable
        })
    }
}

#[async_trait]
impl Standing for BrokerStanding {
    async fn session_keys(&self) -> Result<JwkSet, BrokerUnreachable> {
        self.ask(self.client.get(self.session_keys.clone())).await
    }

    async fn of(&self, session: SessionId, wait: Duration) -> Result<agentkeys_api::Standing, BrokerUnreachable> {
        let mut question = self.client.post(self.standing.clone()).json(&StandingRequest { session_id: session });
        if !wait.is_zero() {
            question = question.query(&[("wait", wait.as_secs())]).timeout(wait + LONGEST_WAIT);
        }
        self.ask(question).await
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_off_loopback_is_asked_over_https_only() {
        for url in ["http://127.0.0.1:8470", "http://[::1]:8470", "http://localhost:8470", "https://broker.example"] {
            assert!(BrokerStanding::new(&url.parse().unwrap()).is_ok(), "{url}");
        }
        for url in ["http://broker.example", "http://127.0.0.1.example", "ftp://127.0.0.1", "http://10.0.0.1"] {
            assert!(BrokerStanding::new(&url.parse().unwrap()).is_err(), "{url}");
        }
    }
}
