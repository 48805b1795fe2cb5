use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use agentkeys_crypto::DeviceKey;
use agentkeys_types::{Clock, KeyThumbprint, TokenDigest};
use reqwest::RequestBuilder;

use crate::Answer;

/// A device with a key of its own, which proves every request (RFC 9449).
#[derive(Clone)]
pub struct Device {
    key: DeviceKey,
    clock: Arc<dyn Clock>,
    nonce: Arc<Mutex<Option<String>>>,
}

impl Device {
    /// A device with a new key, and this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_key(DeviceKey::generate().expect("a key"), clock)
    }

    /// A device that has this key already.
    pub fn with_key(key: DeviceKey, clock: Arc<dyn Clock>) -> Self {
        Self { key, clock, nonce: Arc::default() }
    }

    /// Names the device's key.
    pub fn thumbprint(&self) -> KeyThumbprint {
        self.key.thumbprint()
    }

    /// The device's key.
    pub fn key(&self) -> &DeviceKey {
        &self.key
    }

    /// A proof for a request, with the nonce that the server gave last.
    pub fn proof(&self, method: &str, url: &str, token: Option<&str>) -> String {
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let proof = self.key.prove(method, url, token.map(TokenDigest::of), nonce.as_deref(), self.clock.now());
        proof.expect("a key that signs")
    }

    /// Sends a request with its proof, and again where the server asks for one with a nonce of its own.
    pub async fn send(&self, request: RequestBuilder, token: Option<&str>) -> Answer {
        let again = request.try_clone().expect("a body that is no stream");
        let answer = self.send_once(request, token).await;
        if answer.refusal().1 == "use_dpop_nonce" { self.send_once(again, token).await } else { answer }
    }

    /// Sends a request with its proof, and takes the nonce for the next one from the answer.
    pub async fn send_once(&self, request: RequestBuilder, token: Option<&str>) -> Answer {
        let (http, request) = request.build_split();
        let mut request = request.expect("a request");
        let mut url = request.url().clone();
        url.set_query(None);
        let proof = self.proof(request.method().as_str(), url.as_str(), token);
        request.headers_mut().insert("dpop", proof.parse().expect("a proof is a header"));
        if let Some(token) = token {
            let authorization = format!("DPoP {token}").parse().expect("a token is a header");
            request.headers_mut().insert("authorization", authorization);
        }
        let answer = Answer::read(http.execute(request).await.expect("the server answers")).await;
        if let Some(nonce) = answer.headers.get("dpop-nonce") {
            let nonce = nonce.to_str().expect("a nonce is text").to_owned();
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce);
        }
        answer
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Device({})", self.thumbprint())
    }
}
