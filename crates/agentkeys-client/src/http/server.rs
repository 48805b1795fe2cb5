use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agentkeys_api::{ErrorCode, OauthError, headers};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{Timestamp, TokenDigest};
use reqwest::{
    Method, RequestBuilder,
    header::{AUTHORIZATION, CACHE_CONTROL, DATE, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{Answer, Credential, Http, Presented, unreachable};
use crate::{ClientError, PlainAnswer, ServerUrl, attested::AttestedWay};

/// How often one request is proved: brokers behind one name each have nonces of their own.
const MOST_PROOFS: usize = 4;
const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// One server and the way to it: what the broker's and the signer's client have in common.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    http: Http,
    pub(crate) url: ServerUrl,
    /// The nonce that the server gave last, for the next proof (RFC 9449 section 8).
    nonce: Arc<Mutex<Option<String>>>,
    /// What the server said last of the changes among the account's devices.
    device_revision: Arc<Mutex<Option<u64>>>,
    /// The only way to a server that must show first where it runs.
    attested: Option<Arc<AttestedWay>>,
}

impl Server {
    pub(crate) fn new(http: &Http, url: ServerUrl) -> Self {
        Self { http: http.clone(), url, nonce: Arc::default(), device_revision: Arc::default(), attested: None }
    }

    pub(crate) fn device_revision(&self) -> Option<u64> {
        *self.device_revision.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server at the end of `way`.
    pub(crate) fn attested(http: &Http, way: AttestedWay) -> Self {
        let server = Self::new(http, way.url().clone());
        Self { attested: Some(Arc::new(way)), ..server }
    }

    /// The way to a server that must show first where it runs.
    pub(crate) fn way(&self) -> Option<&Arc<AttestedWay>> {
        self.attested.as_ref()
    }

    pub(crate) async fn show<A: DeserializeOwned>(
        &self,
        path: &str,
        credential: Credential<'_>,
    ) -> Result<A, ClientError> {
        self.parse(&self.send(Method::GET, path, credential, Ok).await?.body)
    }

    /// Whatever the server answers, also that it cannot or will not.
    pub(crate) async fn look(&self, path: &str) -> Result<PlainAnswer, ClientError> {
        let answer = self.fetch(self.blank(Method::GET, path)?).await?;
        let header = |name: HeaderName| answer.header(name).map(str::to_owned);
        let (status, date, cache_control) = (answer.status.as_u16(), header(DATE), header(CACHE_CONTROL));
        Ok(PlainAnswer { status, date, cache_control, body: answer.body })
    }

    pub(crate) async fn show_with_query<A: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<A, ClientError> {
        self.parse(&self.send(Method::GET, path, Credential::NONE, |request| Ok(request.query(query))).await?.body)
    }

    pub(crate) async fn create<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        credential: Credential<'_>,
        body: &B,
    ) -> Result<A, ClientError> {
        self.create_as(path, credential, body).await.map(|(_, answer)| answer)
    }

    /// As [`Server::create`], with the status of the answer, where it says something too.
    pub(crate) async fn create_as<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        credential: Credential<'_>,
        body: &B,
    ) -> Result<(u16, A), ClientError> {
        let answer = self.answer_to(path, credential, body).await?;
        Ok((answer.status.as_u16(), self.parse(&answer.body)?))
    }

    /// As [`Server::create`], with the whole answer, where its headers say something too.
    pub(crate) async fn answer_to<B: Serialize + Sync>(
        &self,
        path: &str,
        credential: Credential<'_>,
        body: &B,
    ) -> Result<Answer, ClientError> {
        self.send(Method::POST, path, credential, |request| Ok(request.json(body))).await
    }

    /// As [`Server::create`], with a form, as OAuth has it, and a proof by `key`.
    pub(crate) async fn submit<F: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<&DeviceKey>,
        form: &F,
    ) -> Result<A, ClientError> {
        let credential = Credential { token: None, key };
        self.parse(&self.send(Method::POST, path, credential, |request| Ok(request.form(form))).await?.body)
    }

    /// As [`Server::create`], without a body.
    pub(crate) async fn call<A: DeserializeOwned>(
        &self,
        path: &str,
        credential: Credential<'_>,
    ) -> Result<A, ClientError> {
        self.parse(&self.send(Method::POST, path, credential, Ok).await?.body)
    }

    /// As [`Server::create`], for an answer that the server holds back for up to `wait`.
    pub(crate) async fn await_answer<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        wait: Duration,
        body: &B,
    ) -> Result<A, ClientError> {
        let request = self.http.request_of_news(&self.url, path)?.query(&[("wait", wait.as_secs())]);
        let request = request.timeout(self.http.0.timeout + wait);
        self.parse(&self.exchange(request.json(body)).await?.body)
    }

    /// As [`Server::create`], for what has its place already.
    pub(crate) async fn put<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        credential: Credential<'_>,
        body: &B,
    ) -> Result<A, ClientError> {
        self.parse(&self.send(Method::PUT, path, credential, |request| Ok(request.json(body))).await?.body)
    }

    /// As [`Server::put`], where the path says it all.
    pub(crate) async fn set<A: DeserializeOwned>(
        &self,
        path: &str,
        credential: Credential<'_>,
    ) -> Result<A, ClientError> {
        self.parse(&self.send(Method::PUT, path, credential, Ok).await?.body)
    }

    pub(crate) async fn delete(&self, path: &str, credential: Credential<'_>) -> Result<(), ClientError> {
        self.send(Method::DELETE, path, credential, Ok).await.map(drop)
    }

    /// Sends a request and returns the answer, if it is a successful one.
    ///
    /// A server that asks for a proof with a nonce of its own gets one.
    async fn send(
        &self,
        method: Method,
        path: &str,
        credential: Credential<'_>,
        complete: impl Fn(RequestBuilder) -> Result<RequestBuilder, ClientError>,
    ) -> Result<Answer, ClientError> {
        for _ in 1..MOST_PROOFS {
            let request = complete(self.request(&method, path, credential)?)?;
            match self.exchange(request).await {
                Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::UseDpopNonce => {}
                Err(ClientError::Oauth { problem, .. }) if problem.error == OauthError::UseDpopNonce => {}
                answer => return answer,
            }
        }
        self.exchange(complete(self.request(&method, path, credential)?)?).await
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        Credential { token, key }: Credential<'_>,
    ) -> Result<RequestBuilder, ClientError> {
        let request = self.blank(method.clone(), path)?;
        let request = match token {
            Some(Presented(token)) => request.header(AUTHORIZATION, authorization(token, key.is_some())?),
            None => request,
        };
        let Some(key) = key else { return Ok(request) };
        let digest = token.map(|Presented(token)| TokenDigest::of(token));
        let url = self.url.join(path);
        let nonce = self.nonce().clone();
        let proof = key.prove(method.as_str(), url.as_str(), digest, nonce.as_deref(), self.http.now());
        Ok(request.header(DPOP, proof.map_err(|_| ClientError::DeviceKey)?))
    }

    /// What time it is for this server's client.
    pub(crate) fn now(&self) -> Timestamp {
        self.http.now()
    }

    fn nonce(&self) -> MutexGuard<'_, Option<String>> {
        self.nonce.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let answer = self.fetch(request).await?;
        if let Some(nonce) = answer.header(DPOP_NONCE) {
            *self.nonce() = Some(nonce.to_owned());
        }
        let revision = answer.header(headers::DEVICE_REVISION).and_then(|revision| revision.parse().ok());
        if revision.is_some() {
            *self.device_revision.lock().unwrap_or_else(PoisonError::into_inner) = revision;
        }
        answer.into_success(&self.url)
    }

    /// The one place where a request of this server goes out.
    async fn fetch(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let Some(way) = &self.attested else {
            let response = request.send().await.map_err(|error| unreachable(&self.url, error))?;
            return Answer::read(&self.url, response).await;
        };
        let request = request.build().map_err(|error| unreachable(&self.url, error))?;
        // In a box, for all who never go this way.
        Box::pin(way.send(request)).await
    }

    /// A request to which everything is still to be added.
    fn blank(&self, method: Method, path: &str) -> Result<RequestBuilder, ClientError> {
        match self.attested {
            Some(_) => self.http.blank(method, &self.url, path),
            None => self.http.request(method, &self.url, path),
        }
    }

    pub(crate) fn parse<A: DeserializeOwned>(&self, body: &[u8]) -> Result<A, ClientError> {
        serde_json::from_slice(body).map_err(|_| self.unexpected("its body is not the one of this route"))
    }

    pub(crate) fn unexpected(&self, reason: &'static str) -> ClientError {
        ClientError::UnexpectedAnswer { url: self.url.to_string(), reason }
    }
}

fn authorization(token: &str, is_bound: bool) -> Result<HeaderValue, ClientError> {
    let scheme = if is_bound { "DPoP" } else { "Bearer" };
    let text = Zeroizing::new(format!("{scheme} {token}"));
    let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::NotSignedIn)?;
    value.set_sensitive(true);
    Ok(value)
}
