use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use reqwest::header::CACHE_CONTROL;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::system::System;

/// How often an unknown key may make it fetch the set again.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// A relying party that keeps the JWK Set for as long as it may.
#[derive(Debug)]
pub(super) struct CachingVerifier {
    issuer: String,
    http: reqwest::Client,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    keys: JwkSet,
    fetched: Instant,
    max_age: Duration,
}

impl CachingVerifier {
    pub(super) fn new(system: &System) -> Self {
        let issuer = format!("http://{}", system.broker.address);
        Self { issuer, http: system.http().clone(), kept: Mutex::default() }
    }

    /// Verifies a JWT; returns the key that it was signed with.
    pub(super) async fn verify(&self, jwt: &str) -> anyhow::Result<String> {
        let header = decode_header(jwt)?;
        let kid = header.kid.context("no kid")?;
        let key = self.key(&kid).await?;
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&["sts.amazonaws.com"]);
        validation.set_issuer(&[&self.issuer]);
        decode::<Value>(jwt, &key, &validation)?;
        Ok(kid)
    }

    async fn key(&self, kid: &str) -> anyhow::Result<DecodingKey> {
        let mut kept = self.kept.lock().await;
        let is_good = kept.as_ref().is_some_and(|kept| {
            let age = kept.fetched.elapsed();
            age < kept.max_age && (kept.keys.find(kid).is_some() || age < BETWEEN_LOOKS)
        });
        if !is_good {
            *kept = Some(self.fetch().await?);
        }
        let kept = kept.as_ref().context("just fetched")?;
        let age = kept.fetched.elapsed();
        let key = kept.keys.find(kid).with_context(|| format!("a key that is not in a set {age:?} old"))?;
        Ok(DecodingKey::from_jwk(key)?)
    }

    async fn fetch(&self) -> anyhow::Result<Kept> {
        let fetched = Instant::now();
        let response = self.http.get(format!("{}/.well-known/jwks.json", self.issuer)).send().await?;
        ensure!(response.status().is_success(), "no keys: {}", response.status());
        let caching = response.headers().get(CACHE_CONTROL).context("no cache-control")?.to_str()?.to_owned();
        let seconds = caching.split("max-age=").nth(1).context("no max-age")?.parse()?;
        Ok(Kept { keys: response.json().await?, fetched, max_age: Duration::from_secs(seconds) })
    }
}
