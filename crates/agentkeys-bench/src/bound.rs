use std::{net::Ipv4Addr, time::Duration};

use agentkeys_api::paths;
use agentkeys_crypto::Presentation;
use agentkeys_testing::{Device, TestBroker};
use anyhow::Context;

use crate::{bare::thread_cpu_time, report::micros};

/// How many tokens that were never seen are checked: each takes a whole proof of a wallet to get.
const FRESH_TOKENS: usize = 400;
const BATCHES: usize = 9;
const BATCH: usize = 500;

/// CPU time of the whole check of a bound token: signature, proof and standing.
pub(crate) struct BoundToken {
    /// For a token that was seen before.
    pub(crate) seen: Duration,
    /// For one that was not.
    pub(crate) fresh: Duration,
}

impl BoundToken {
    /// Measures a broker in this process, on this thread.
    pub(crate) async fn measure() -> anyhow::Result<Self> {
        let broker = TestBroker::start().await;
        let mut ada = broker.sign_in("ada").await;
        let mut tokens = Vec::with_capacity(FRESH_TOKENS);
        for _ in 0..FRESH_TOKENS {
            ada = ada.prove_wallet().await;
            tokens.push(ada.wallet_token().to_owned());
        }
        let device = ada.device().clone();
        // A broker that has just started has seen none of them.
        let broker = broker.restart().await;
        learn_nonce(&broker, &device).await;
        let fresh = check(&broker, &device, &tokens).await?;

        let mut batches = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let same = vec![ada.token().to_owned(); BATCH];
            batches.push(check(&broker, &device, &same).await?);
        }
        batches.sort();
        Ok(Self { seen: batches[BATCHES / 2], fresh })
    }

    /// Both against the two ES256 verifications that cannot be less for a token that was never seen.
    pub(crate) fn line(&self, es256_verify: Duration) -> String {
        let two = 2 * es256_verify;
        let ratio = |cost: Duration| cost.as_secs_f64() / two.as_secs_f64();
        format!(
            "the whole check of a bound token: {:.1} µs CPU when seen before, {:.1} when not: {:.2} and {:.2} times two \
             ES256 verifications (aim 1.3 at most)",
            micros(self.seen),
            micros(self.fresh),
            ratio(self.seen),
            ratio(self.fresh),
        )
    }
}

/// Asks once without a nonce, as a client does.
async fn learn_nonce(broker: &TestBroker, device: &Device) {
    let body = serde_json::json!({"email": "nobody"});
    device.send_once(broker.http().post(broker.url(paths::EMAIL_START)).json(&body), None).await;
}

/// CPU time of one check, each token once, with proofs made beforehand.
async fn check(broker: &TestBroker, device: &Device, tokens: &[String]) -> anyhow::Result<Duration> {
    let url = broker.url(paths::SESSION);
    let proofs: Vec<_> = tokens.iter().map(|token| device.proof("GET", &url, Some(token))).collect();
    let source = Ipv4Addr::LOCALHOST.into();
    let broker = broker.running().broker();
    let before = thread_cpu_time();
    for (token, proof) in tokens.iter().zip(&proofs) {
        let presented = Presentation {
            unverified_token: token,
            is_bound: true,
            unverified_proof: Some(proof),
            method: "GET",
            url: &url,
        };
        broker.authenticate(&presented, source).await.context("a right token with a right proof")?;
    }
    let count = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
    Ok(thread_cpu_time().saturating_sub(before) / count)
}
