use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use agentkeys_api::{ErrorCode, OauthError, OauthProblem, Problem, headers};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{Clock, SystemClock, Timestamp, TokenDigest};
use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode,
    header::{
        AUTHORIZATION, AsHeaderName, CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    },
    redirect::Policy,
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{ClientError, PlainAnswer, ServerUrl, attested::AttestedWay};

pub(crate) const USER_AGENT: &str = concat!("agentkeys/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(30);
/// For how long a server holds an answer back at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// For how long a connection that has carried a token stays for the next request; it is gone after twice that.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const LARGEST_ANSWER: usize = 1024 * 1024;
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
        Self::with_clock(timeout, Arc::new(SystemClock))
    }

    /// As [`Http::with_timeout`], by another clock.
    pub fn with_clock(timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        let (brief, lasting) = (Clients::default(), Clients::default());
        Self(Arc::new(Routes { timeout, clock, brief, lasting }))
    }

    /// What time it is for the proofs of requests, and for evidence.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// How long an exchange may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// How long it may take until a connection is there.
    pub(crate) fn connect_timeout(&self) -> Duration {
        CONNECT_TIMEOUT.min(self.0.timeout)
    }

    /// How long nothing may come.
    pub(crate) fn read_timeout(&self) -> Duration {
        READ_TIMEOUT.min(self.0.timeout)
    }

    pub(crate) fn request(
        &self,
        method: Method,
        server: &ServerUrl,
        path: &str,
    ) -> Result<RequestBuilder, ClientError> {
        let builder = Client::builder().pool_idle_timeout(IDLE_TIMEOUT).read_timeout(self.read_timeout());
        Ok(self.client(&self.0.brief, builder, Route::to(server))?.request(method, server.join(path)))
    }

    /// As [`Http::request`], for a request that this client is not to send: certificates are not its affair.
    fn blank(&self, method: Method, server: &ServerUrl, path: &str) -> Result<RequestBuilder, ClientError> {
        let builder = Client::builder().pool_idle_timeout(IDLE_TIMEOUT).read_timeout(self.read_timeout());
        Ok(self.client(&self.0.brief, builder, Route::Plain)?.request(method, server.join(path)))
    }

    /// As [`Http::request`], for a request without a token, whose answer may take its time.
    fn request_of_news(&self, server: &ServerUrl, path: &str) -> Result<RequestBuilder, ClientError> {
        let builder = Client::builder().read_timeout(LONGEST_WAIT + READ_TIMEOUT);
        Ok(self.client(&self.0.lasting, builder, Route::to(server))?.post(server.join(path)))
    }

    fn client<'a>(
        &self,
        clients: &'a Clients,
        builder: ClientBuilder,
        route: Route,
    ) -> Result<&'a Client, ClientError> {
        let (place, builder) = match route {
            Route::Plain => (&clients.plain, builder.no_proxy().tls_certs_only([])),
            Route::Loopback => (&clients.loopback, builder.no_proxy()),
            Route::Remote => (&clients.remote, builder),
        };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let client = self.build(builder).map_err(|error| ClientError::Http(Arc::new(error)))?;
        Ok(place.get_or_init(|| client))
    }

    fn build(&self, builder: ClientBuilder) -> reqwest::Result<Client> {
        builder
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout())
            .timeout(self.0.timeout)
            .build()
    }
}

/// What kind of server a client is for.
#[derive(Clone, Copy, Debug)]
enum Route {
    Plain,
    Loopback,
    Remote,
}

impl Route {
    fn to(server: &ServerUrl) -> Self {
        match (server.is_plain(), server.is_loopback()) {
            (true, _) => Self::Plain,
            (false, true) => Self::Loopback,
            (false, false) => Self::Remote,
        }
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

/// An answer as it came, whatever it says.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    async fn read(server: &ServerUrl, mut response: Response) -> Result<Self, ClientError> {
        let mut answer = Self { status: response.status(), headers: HeaderMap::new(), body: Zeroizing::default() };
        std::mem::swap(&mut answer.headers, response.headers_mut());
        answer.body = read_limited(server, response).await?;
        Ok(answer)
    }

    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.header(RETRY_AFTER)?.parse().ok().map(Duration::from_secs)
    }

    fn content_type_is(&self, expected: &str) -> bool {
        let media_type = self.header(CONTENT_TYPE).unwrap_or("").split(';').next();
        media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(expected))
    }
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
        let (status, retry_after, body) = (answer.status, answer.retry_after(), &answer.body);
        if status.is_success() {
            return Ok(answer);
        }
        if status.is_redirection() {
            return Err(self.unexpected("it is a redirect, and a token follows none"));
        }
        if answer.content_type_is("application/json")
            && let Ok(problem) = serde_json::from_slice::<OauthProblem>(body)
            && problem.error != OauthError::Unknown
        {
            return Err(ClientError::Oauth { problem, retry_after });
        }
        let is_problem = answer.content_type_is("application/problem+json");
        match serde_json::from_slice::<Problem>(body) {
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
