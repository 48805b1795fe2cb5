mod server;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use agentkeys_api::{OauthError, OauthProblem, Problem};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{Clock, SystemClock, Timestamp};
use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode,
    header::{AsHeaderName, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use zeroize::Zeroizing;

pub(crate) use self::server::Server;
use crate::{ClientError, ServerUrl};

pub(crate) const USER_AGENT: &str = concat!("agentkeys/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(30);
/// For how long a server holds an answer back at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// For how long a connection that has carried a token stays for the next request; it is gone after twice that.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const LARGEST_ANSWER: usize = 1024 * 1024;

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

    /// Itself, if it is a successful one; what went wrong otherwise.
    pub(crate) fn into_success(self, server: &ServerUrl) -> Result<Self, ClientError> {
        let (status, retry_after) = (self.status, self.retry_after());
        if status.is_success() {
            return Ok(self);
        }
        let unexpected = |reason| ClientError::UnexpectedAnswer { url: server.to_string(), reason };
        if status.is_redirection() {
            return Err(unexpected("it is a redirect, and a token follows none"));
        }
        if self.content_type_is("application/json")
            && let Ok(problem) = serde_json::from_slice::<OauthProblem>(&self.body)
            && problem.error != OauthError::Unknown
        {
            return Err(ClientError::Oauth { problem, retry_after });
        }
        let is_problem = self.content_type_is("application/problem+json");
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) if is_problem && problem.status == status.as_u16() => {
                Err(ClientError::Problem { problem, retry_after })
            }
            // Something on the way, a proxy most likely, says that the server is away.
            _ if matches!(status.as_u16(), 502..=504) => Err(ClientError::Unreachable {
                url: server.to_string(),
                source: Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(format!("HTTP status {status}"))),
            }),
            _ => Err(unexpected("it is an error without our error shape")),
        }
    }

    fn content_type_is(&self, expected: &str) -> bool {
        let media_type = self.header(CONTENT_TYPE).unwrap_or("").split(';').next();
        media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(expected))
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
