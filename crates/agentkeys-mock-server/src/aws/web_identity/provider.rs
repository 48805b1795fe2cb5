use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use reqwest::{Client, StatusCode, Url, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::NO_KEY;
use crate::aws::{Trust, sts::StsError};

const LARGEST_DOCUMENT: usize = 256 * 1024;
/// AWS takes at most 100 RSA and 100 EC keys.
const MOST_KEYS_OF_A_TYPE: usize = 100;

/// The registered OpenID Connect providers, and the way to their keys.
pub(super) struct Providers {
    trusted: Vec<Trust>,
    http: Client,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Value>,
}

impl Providers {
    pub(super) fn new(trusted: Vec<Trust>) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(5))
            .redirect(Policy::none())
            // Issuers in development are on this machine, where no proxy finds them.
            .no_proxy()
            .build()?;
        Ok(Self { trusted, http })
    }

    /// The provider that is registered for exactly this issuer.
    pub(super) fn find(&self, issuer: &str) -> Result<&Trust, StsError> {
        self.trusted.iter().find(|trust| trust.issuer == issuer).ok_or(StsError::InvalidIdentityToken(
            "No OpenIDConnect provider found in your account for the issuer of the token",
        ))
    }

    /// The key of this name, fetched afresh.
    pub(super) async fn key(&self, trust: &Trust, kid: &str) -> Result<Jwk, StsError> {
        let issuer = trust.issuer.trim_end_matches('/');
        let discovery = Url::parse(&format!("{issuer}/.well-known/openid-configuration")).map_err(|_| NO_KEY)?;
        let is_secure = discovery.scheme() == "https";
        let discovery: Discovery = self.fetch(discovery).await?;
        let jwks_uri = Url::parse(&discovery.jwks_uri).map_err(|_| NO_KEY)?;
        if discovery.issuer != trust.issuer || (is_secure && jwks_uri.scheme() != "https") {
            return Err(NO_KEY);
        }
        let Keys { keys } = self.fetch(jwks_uri).await?;
        let count = |kty: &str| keys.iter().filter(|key| key["kty"] == kty).count();
        if count("RSA") > MOST_KEYS_OF_A_TYPE || count("EC") > MOST_KEYS_OF_A_TYPE {
            return Err(NO_KEY);
        }
        // The other keys may be of kinds that are not known here.
        let key = keys.iter().find(|key| key["kid"] == kid).ok_or(NO_KEY)?;
        Jwk::deserialize(key).map_err(|_| NO_KEY)
    }

    async fn fetch<T: DeserializeOwned>(&self, url: Url) -> Result<T, StsError> {
        let mut response = self.http.get(url).send().await.map_err(|_| StsError::IdpCommunication)?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_server_error() => return Err(StsError::IdpCommunication),
            _ => return Err(NO_KEY),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| StsError::IdpCommunication)? {
            if body.len() + chunk.len() > LARGEST_DOCUMENT {
                return Err(NO_KEY);
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|_| NO_KEY)
    }
}
