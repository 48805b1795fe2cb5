use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use agentkeys_api::{ErrorCode, OauthError, OauthProblem, Problem, headers};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{Clock, SystemClock, Timestamp, TokenDigest};
use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, Response,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{ClientError, PlainAnswer, ServerUrl};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(30);
/// For how long a server holds an answer back at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// For how long a connection that has carried a token stays for the next request; it is gone after twice that.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
const LARGEST_ANSWER: usize = 1024 * 1024;
/// How often one request is proved: brokers behind one name each have nonces of their own.
const MOST_PROOFS: usize = 4;
const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The HTTP client that all typed clients share, and the only place where one is built.
///
/// It follows no redirect, so a token cannot travel to another server; it reads at most 1 MiB of an answer,
/// every wait has a limit, and what goes to this machine goes there without a proxy.
#[derive(Clone, Debug)]
pub struct Http(Arc<Routes>);

#[derive(Debug)]
struct Routes {
    timeout: Duration,
    clock: Arc<dyn Clock>,
    /// For what carries tokens: a connection remembers its last request, so it must not outlive its use.
    brief: Clients,
    /// For what waits for news, and carries no token.
    lasting: Clients,
}

/// One connection pool per kind of server, each built when first used: root certificates cost time and memory
/// that a system on loopback has no need of.
#[derive(Debug, Default)]
struct Clients {
    plain: OnceLock<Client>,
    loopback: OnceLock<Client>,
    remote: OnceLock<Client>,
}

impl Default for Http {
    fn default() -> Self {
        Self::with_timeout(TIMEOUT)
    }
}

impl Http {
    /// A client whose every exchange is over, well or badly, after `timeout`.
    pub fn with_timeout(timeout: Duration) -> Self {
        let (brief, lasting) = (Clients::default(), Clients::default());
        Self(Arc::new(Routes { timeout, clock: Arc::new(SystemClock), brief, lasting }))
    }

    /// What time it is for the proofs of requests.
    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn request(
        &self,
        method: Method,
        server: &ServerUrl,
        path: &str,
    ) -> Result<RequestBuilder, ClientError> {
        let read_timeout = READ_TIMEOUT.min(self.0.timeout);
        let builder = Client::builder().pool_idle_timeout(IDLE_TIMEOUT).read_timeout(read_timeout);
        Ok(self.client(&self.0.brief, builder, server)?.request(method, server.join(path)))
    }

    /// As [`Http::request`], for a request without a token, whose answer may take its time.
    fn request_of_news(&self, server: &ServerUrl, path: &str) -> Result<RequestBuilder, ClientError> {
        let builder = Client::builder().read_timeout(LONGEST_WAIT + READ_TIMEOUT);
        Ok(self.client(&self.0.lasting, builder, server)?.post(server.join(path)))
    }

    fn client<'a>(
        &self,
        clients: &'a Clients,
        builder: ClientBuilder,
        server: &ServerUrl,
    ) -> Result<&'a Client, ClientError> {
        let (route, builder) = match (server.is_plain(), server.is_loopback()) {
            (true, _) => (&clients.plain, builder.no_proxy().tls_certs_only([])),
            (false, true) => (&clients.loopback, builder.no_proxy()),
            (false, false) => (&clients.remote, builder),
        };
        if let Some(client) = route.get() {
            return Ok(client);
        }
        let client = self.build(builder).map_err(|error| ClientError::Http(Arc::new(error)))?;
        Ok(route.get_or_init(|| client))
    }

    fn build(&self, builder: ClientBuilder) -> reqwest::Result<Client> {
        builder
            .user_agent(concat!("agentkeys/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT.min(self.0.timeout))
            .timeout(self.0.timeout)
            .build()
    }
}

/// What a request presents: a token, and the device key that it is bound to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Credential<'s> {
    pub(crate) token: Option<Presented<'s>>,
    pub(crate) key: Option<&'s DeviceKey>,
}

/// A token as it is presented. Prints as a placeholder.
#[derive(Clone, Copy)]
pub(crate) struct Presented<'s>(pub(crate) &'s str);

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Presented(…)")
    }
}

impl<'s> Credential<'s> {
    /// No token, and no key.
    pub(crate) const NONE: Credential<'static> = Credential { token: None, key: None };

    /// A token, bound to `key` if there is one.
    pub(crate) fn new(token: &'s str, key: Option<&'s DeviceKey>) -> Self {
        Self { token: Some(Presented(token)), key }
    }
}

/// An answer that says that it went well.
struct Done {
    status: u16,
    body: Zeroizing<Vec<u8>>,
}

/// One server and the way to it: what the broker's and the signer's client have in common.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    http: Http,
    pub(crate) url: ServerUrl,
    /// The nonce that the server gave last, for the next proof (RFC 9449 section 8).
    nonce: Arc<Mutex<Option<String>>>,
    /// What the server said last of the changes among the account's devices.
    device_revision: Arc<Mutex<Option<u64>>>,
}

impl Server {
    pub(crate) fn new(http: &Http, url: ServerUrl) -> Self {
        Self { http: http.clone(), url, nonce: Arc::default(), device_revision: Arc::default() }
    }

    pub(crate) fn device_revision(&self) -> Option<u64> {
        *self.device_revision.lock().unwrap_or_else(PoisonError::into_inner)
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
        let response = self.http.request(Method::GET, &self.url, path)?.send().await;
        let response = response.map_err(|error| unreachable(&self.url, error))?;
        let header = |name: HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (status, date, cache_control) = (response.status().as_u16(), header(DATE), header(CACHE_CONTROL));
        Ok(PlainAnswer { status, date, cache_control, body: read_limited(&self.url, response).await? })
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
        let done = self.send(Method::POST, path, credential, |request| Ok(request.json(body))).await?;
        Ok((done.status, self.parse(&done.body)?))
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
    ) -> Result<Done, ClientError> {
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
        let request = self.http.request(method.clone(), &self.url, path)?;
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

    async fn exchange(&self, request: RequestBuilder) -> Result<Done, ClientError> {
        let response = request.send().await.map_err(|error| unreachable(&self.url, error))?;
        if let Some(nonce) = response.headers().get(DPOP_NONCE).and_then(|nonce| nonce.to_str().ok()) {
            *self.nonce() = Some(nonce.to_owned());
        }
        let revision =
            response.headers().get(headers::DEVICE_REVISION).and_then(|text| text.to_str().ok()?.parse().ok());
        if revision.is_some() {
            *self.device_revision.lock().unwrap_or_else(PoisonError::into_inner) = revision;
        }
        let (status, retry_after) = (response.status(), retry_after(&response));
        let is_problem = content_type_is(&response, "application/problem+json");
        let is_json = content_type_is(&response, "application/json");
        let body = read_limited(&self.url, response).await?;
        if status.is_success() {
            return Ok(Done { status: status.as_u16(), body });
        }
        if status.is_redirection() {
            return Err(self.unexpected("it is a redirect, and a token follows none"));
        }
        if is_json
            && let Ok(problem) = serde_json::from_slice::<OauthProblem>(&body)
            && problem.error != OauthError::Unknown
        {
            return Err(ClientError::Oauth { problem, retry_after });
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if is_problem && problem.status == status.as_u16() => {
                Err(ClientError::Problem { problem, retry_after })
            }
            // Something on the way, a proxy most likely, says that the server is away.
            _ if matches!(status.as_u16(), 502..=504) => Err(ClientError::Unreachable {
                url: self.url.to_string(),
                source: Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(format!("HTTP status {status}"))),
            }),
            _ => Err(self.unexpected("it is an error without our error shape")),
        }
    }

    fn parse<A: DeserializeOwned>(&self, body: &[u8]) -> Result<A, ClientError> {
        serde_json::from_slice(body).map_err(|_| self.unexpected("its body is not the one of this route"))
    }

    pub(crate) fn unexpected(&self, reason: &'static str) -> ClientError {
        ClientError::UnexpectedAnswer { url: self.url.to_string(), reason }
    }
}

/// Reads a body up to the limit; the announced length is not believed.
pub(crate) async fn read_limited(
    server: &ServerUrl,
    mut response: Response,
) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(server, error))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(ClientError::UnexpectedAnswer { url: server.to_string(), reason: "it is larger than 1 MiB" });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(crate) fn unreachable(server: &ServerUrl, error: reqwest::Error) -> ClientError {
    // Without its URL, which repeats ours and may one day carry more than it should.
    ClientError::Unreachable { url: server.to_string(), source: Arc::new(error.without_url()) }
}

fn authorization(token: &str, is_bound: bool) -> Result<HeaderValue, ClientError> {
    let scheme = if is_bound { "DPoP" } else { "Bearer" };
    let text = Zeroizing::new(format!("{scheme} {token}"));
    let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::NotSignedIn)?;
    value.set_sensitive(true);
    Ok(value)
}

fn retry_after(response: &Response) -> Option<Duration> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn content_type_is(response: &Response, expected: &str) -> bool {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(expected))
}
