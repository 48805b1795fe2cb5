use std::{
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use agentkeys_api::{DeviceChange, Devices, ErrorCode, paths};
use agentkeys_crypto::{Confirmation, DeviceKey, SessionTokenClaims, SiweMessage};
use agentkeys_signer::{Entry, Event, LogUnavailable, NotAttested, Purpose, Receipt, SignerConfig, SigningRecord};
use agentkeys_types::{Clock, KeyThumbprint, OmniAccount, Timestamp, TokenDigest};
use async_trait::async_trait;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::bench::{ADA, Bench, ISSUER, TestClock, problem};

pub(crate) const ADAS_WALLET: &str = "0x74144a5f826537a8610B136552c6fFEc9D37A6dE";

/// Far from what any test but one has signed.
pub(crate) const SIGNINGS_PER_MINUTE: u32 = 80;

/// A signer that pins devices and signs nothing but wallet proofs, as the TEE worker does.
pub(crate) struct Worker {
    bench: Bench,
    pub(crate) record: Arc<MemoryRecord>,
}

/// A device that has signed in.
pub(crate) struct Device {
    pub(crate) key: DeviceKey,
    pub(crate) claims: SessionTokenClaims,
    pub(crate) token: String,
}

impl Device {
    pub(crate) fn thumbprint(&self) -> KeyThumbprint {
        self.key.thumbprint()
    }

    pub(crate) fn path(&self) -> String {
        format!("{}/{}", paths::DEVICES, self.thumbprint())
    }
}

impl Deref for Worker {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

impl Worker {
    pub(crate) async fn start() -> Self {
        Self::start_on(Arc::default(), Arc::default()).await
    }

    async fn start_on(record: Arc<MemoryRecord>, clock: Arc<TestClock>) -> Self {
        let config = SignerConfig {
            issuer: ISSUER.to_owned(),
            purpose: Purpose::WalletProof { chain_ids: vec![1, 8453] },
            pins_devices: true,
            signings_per_minute: Some(SIGNINGS_PER_MINUTE),
        };
        let bench = Bench::start_as(config, record.clone(), Arc::new(NotAttested), clock, |routes| routes).await;
        Self { bench, record }
    }

    /// Another worker, on the record of this one, with another broker: devices need [`Worker::again`].
    pub(crate) async fn restart(self) -> Self {
        let Self { bench, record } = self;
        let clock = bench.clock.clone();
        drop(bench);
        Self::start_on(record, clock).await
    }

    /// A device of ada's that has just signed in, with a new key.
    pub(crate) fn device(&self) -> Device {
        self.device_of(ADA)
    }

    pub(crate) fn device_of(&self, account: &str) -> Device {
        self.signed_in(account, DeviceKey::generate().unwrap(), self.clock.now())
    }

    /// A device that signed in at another time.
    pub(crate) fn signed_in(&self, account: &str, key: DeviceKey, at: Timestamp) -> Device {
        let cnf = Some(Confirmation { jkt: key.thumbprint() });
        let claims = SessionTokenClaims { cnf, auth_time: at.as_unix(), ..self.claims(account) };
        let token = self.broker.issue(&claims);
        Device { key, claims, token }
    }

    /// The same device with a token of the broker of today.
    pub(crate) fn again(&self, device: Device) -> Device {
        let token = self.broker.issue(&device.claims);
        Device { token, ..device }
    }

    pub(crate) async fn call(&self, device: &Device, method: Method, path: &str, body: Option<Value>) -> Response {
        let mut nonce: Option<String> = None;
        loop {
            let (url, token) = (self.url(path), Some(TokenDigest::of(&device.token)));
            let proof = device.key.prove(method.as_str(), &url, token, nonce.as_deref(), self.clock.now()).unwrap();
            let mut request = self.client.request(method.clone(), url).header("dpop", proof);
            request = request.header("authorization", format!("DPoP {}", device.token));
            if let Some(body) = &body {
                request = request.json(body);
            }
            let response = request.send().await.unwrap();
            let given = response.headers()["dpop-nonce"].to_str().unwrap().to_owned();
            if response.status() != 401 || nonce.as_ref() == Some(&given) {
                return response;
            }
            nonce = Some(given);
        }
    }

    pub(crate) async fn derive(&self, device: &Device) -> Result<(), ErrorCode> {
        let body = json!({"omni_account": device.claims.sub});
        done(self.call(device, Method::POST, paths::DERIVE_ADDRESS, Some(body)).await).await
    }

    pub(crate) async fn sign(&self, device: &Device, message: impl AsRef<[u8]>) -> Result<(), ErrorCode> {
        done(self.signing(device, message).await).await
    }

    pub(crate) async fn signing(&self, device: &Device, message: impl AsRef<[u8]>) -> Response {
        let body = json!({"omni_account": device.claims.sub, "message_hex": hex::encode(message)});
        self.call(device, Method::POST, paths::SIGN_MESSAGE, Some(body)).await
    }

    /// Has ada's wallet proved, as her client would.
    pub(crate) async fn prove(&self, device: &Device) -> Result<(), ErrorCode> {
        self.sign(device, self.challenge()).await
    }

    /// What the broker would have ada's wallet sign now.
    pub(crate) fn challenge(&self) -> String {
        let now = self.clock.now();
        SiweMessage {
            domain: "127.0.0.1:8470",
            address: ADAS_WALLET.parse().unwrap(),
            uri: ISSUER,
            chain_id: 1,
            nonce: "9ZxkQ2mT7vB4nR6sW8yA",
            issued_at: now,
            expires_at: now.after(std::time::Duration::from_mins(5)),
            account: ADA.parse().unwrap(),
        }
        .to_string()
    }

    pub(crate) async fn approve(&self, by: &Device, device: &Device) -> Result<(), ErrorCode> {
        done(self.call(by, Method::PUT, &device.path(), None).await).await
    }

    pub(crate) async fn remove(&self, by: &Device, device: &Device) -> Result<(), ErrorCode> {
        done(self.call(by, Method::DELETE, &device.path(), None).await).await
    }

    pub(crate) async fn wait(&self, by: &Device, seconds: u64) -> Result<(), ErrorCode> {
        let body = json!({"omni_account": by.claims.sub, "recovery_wait_seconds": seconds});
        done(self.call(by, Method::PUT, paths::DEVICES_RECOVERY, Some(body)).await).await
    }

    pub(crate) async fn list(&self, by: &Device) -> Devices {
        self.call(by, Method::GET, paths::DEVICES, None).await.json().await.unwrap()
    }

    /// How many devices are pinned, and how many wait.
    pub(crate) async fn counts(&self, by: &Device) -> (usize, usize) {
        let devices = self.list(by).await.devices;
        let waiting = devices.iter().filter(|device| device.pinned_at.is_some()).count();
        (devices.len() - waiting, waiting)
    }
}

pub(crate) async fn done(response: Response) -> Result<(), ErrorCode> {
    if response.status().is_success() { Ok(()) } else { Err(problem(response).await.error) }
}

/// A record that keeps everything, and fails when told to.
#[derive(Debug, Default)]
pub(crate) struct MemoryRecord {
    entries: Mutex<Vec<Entry>>,
    pub(crate) fails: AtomicBool,
    /// Whether it keeps what it says that it could not, as after a time limit.
    pub(crate) answers_late: AtomicBool,
}

impl MemoryRecord {
    pub(crate) fn signings(&self) -> usize {
        let entries = self.entries.lock().unwrap();
        entries.iter().filter(|entry| matches!(entry.event, Event::Signing { .. })).count()
    }

    pub(crate) fn changes(&self) -> Vec<DeviceChange> {
        self.device_changes().into_iter().map(|(_, _, change)| change).collect()
    }
}

#[async_trait]
impl SigningRecord for MemoryRecord {
    async fn append(&self, entry: Entry) -> Result<Receipt, LogUnavailable> {
        // As a disk would, it takes a while.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        if self.fails.load(Ordering::SeqCst) {
            return Err(LogUnavailable);
        }
        let mut entries = self.entries.lock().unwrap();
        entries.push(entry);
        if self.answers_late.load(Ordering::SeqCst) {
            return Err(LogUnavailable);
        }
        let index = entries.len() as u64 - 1;
        Ok(Receipt { checkpoint: Some("a checkpoint".into()), leaf: Some((index, Arc::from(&b"a leaf"[..]))) })
    }

    fn device_changes(&self) -> Vec<(OmniAccount, Timestamp, DeviceChange)> {
        let entries = self.entries.lock().unwrap();
        let change = |entry: &Entry| match &entry.event {
            Event::Device(change) => Some((entry.account, entry.time, *change)),
            _ => None,
        };
        entries.iter().filter_map(change).collect()
    }
}
