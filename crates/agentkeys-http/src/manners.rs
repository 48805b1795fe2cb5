use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use agentkeys_api::{ErrorCode, paths};
use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version, header, request::Parts};
use hyper::body::Incoming;
use tower::Service;
use tracing::Instrument;

use crate::{Refusal, watched::Reading};

/// RFC 9449 section 8.2.
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The `Host` values under which a server answers, and the URL that each stands for. The issuer never reflects another one.
#[derive(Clone, Debug, Default)]
pub struct Hosts(BTreeMap<String, Arc<str>>);

impl Hosts {
    /// The names of a listener: its address, and `localhost` where it is a loopback one.
    pub fn of_listener(address: SocketAddr) -> Self {
        let mut hosts = Self::default();
        hosts.allow_listener("http", address);
        hosts
    }

    pub(crate) fn allow_listener(&mut self, scheme: &str, address: SocketAddr) {
        self.allow(&format!("{scheme}://{address}"));
        if address.ip().is_loopback() {
            self.allow(&format!("{scheme}://localhost:{}", address.port()));
        }
    }

    /// Answers at `url` too, such as the issuer: scheme and authority, without a slash at its end.
    pub fn allow(&mut self, url: &str) {
        let authority = url.split_once("://").map_or(url, |(_, authority)| authority);
        self.0.insert(authority.to_ascii_lowercase(), url.into());
    }

    /// The URL that `authority` stands for; `None` when it is none of ours.
    fn find(&self, authority: &str) -> Option<&Arc<str>> {
        self.0.get(authority).or_else(|| self.0.get(&authority.to_ascii_lowercase()))
    }
}

/// Gives the nonce that proofs must name: the value of `DPoP-Nonce`.
pub type Nonces = Arc<dyn Fn() -> String + Send + Sync>;

/// What a request is for, as its client knows it: RFC 9449's `htu`.
#[derive(Clone, Debug)]
pub struct Target(Arc<str>);

impl Target {
    /// The URL of `path` at this server, by the name under which the client asked.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The target of the request that `parts` are of.
    pub fn of(parts: &Parts) -> Result<&Self, Refusal> {
        let missing = || Refusal::new(ErrorCode::Internal, "the request has no target");
        parts.extensions.get().ok_or_else(missing)
    }
}

/// The proxies whose `X-Forwarded-For` counts.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub BTreeSet<IpAddr>);

impl TrustedProxies {
    /// Where a request came from: the peer, or, behind trusted proxies, the last address that is none of them.
    fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut source = peer;
        let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let mut hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
        while self.0.contains(&source) {
            let Some(hop) = hops.pop().and_then(|hop| hop.trim().parse().ok()) else { break };
            source = hop;
        }
        source
    }
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Source(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Source {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let missing = || Refusal::new(ErrorCode::Internal, "the request has no source");
        parts.extensions.get().copied().ok_or_else(missing)
    }
}

/// What every request goes through before and after its route.
pub(crate) struct Manners {
    pub(crate) hosts: Hosts,
    pub(crate) proxies: TrustedProxies,
    pub(crate) meters: Meters,
    pub(crate) nonces: Option<Nonces>,
    pub(crate) ids: RequestIds,
}

impl Manners {
    pub(crate) async fn answer(&self, request: Request<Incoming>, mut router: Router, peer: IpAddr) -> Response {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let expects = parts.headers.contains_key(header::EXPECT);
        let (body, reading) = Reading::of(body);
        let mut request = Request::from_parts(parts, body);
        let id = self.ids.of(request.headers());
        let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
        // Whoever proves needs the nonce for the next proof too.
        let nonces = self.nonces.as_ref().filter(|_| request.headers().contains_key("dpop"));
        let mut response = if let Some(refusal) = self.refuse(&mut request) {
            refusal.into_response()
        } else {
            let source = Source(self.proxies.source(peer, request.headers()));
            request.extensions_mut().insert(source);
            // Routers are always ready.
            let answered = AssertUnwindSafe(router.call(request)).catch_unwind().instrument(span.clone()).await;
            answered.map_or_else(|_| panicked(&span), |answer| answer.unwrap_or_else(|never| match never {}))
        };
        response.headers_mut().insert(REQUEST_ID, id);
        if let Some(nonce) = nonces.and_then(|nonces| HeaderValue::try_from(nonces()).ok()) {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        if !reading.is_over() {
            // What is left of the body ends the connection: a client that was not told would lose its next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            // Whoever waits for a sign to go on has sent nothing, and is not to begin now.
            if !expects {
                reading.finish().await;
            }
        }
        let elapsed = started.elapsed();
        self.meters.record(response.status(), elapsed);
        if response.status().is_success() {
            tracing::debug!(parent: &span, status = response.status().as_u16(), micros = elapsed.as_micros(), "answered");
        } else {
            tracing::info!(parent: &span, status = response.status().as_u16(), micros = elapsed.as_micros(), "answered");
        }
        response
    }

    /// Refuses what no route is to see; else notes under which of our names the request came.
    fn refuse(&self, request: &mut Request<Body>) -> Option<Refusal> {
        match self.target(request) {
            Some(target) => drop(request.extensions_mut().insert(target)),
            // Probes come by address, and their answers name nobody.
            None if matches!(request.uri().path(), paths::HEALTHZ | paths::READYZ) => {}
            None => return Some(Refusal::new(ErrorCode::HostNotAllowed, "this server does not answer to that host")),
        }
        if has_token(request.uri()) {
            return Some(Refusal::new(ErrorCode::TokenInUrl, "a token belongs into the Authorization header"));
        }
        None
    }

    /// RFC 9110 section 7.4: `None` for a misdirected request.
    fn target(&self, request: &Request<Body>) -> Option<Target> {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let host = match (hosts.next().map(HeaderValue::to_str), hosts.next()) {
            (Some(Ok(host)), None) => host,
            (None, None) if request.version() == Version::HTTP_2 => "",
            _ => return None,
        };
        let authority = request.uri().authority().map_or(host, |authority| authority.as_str());
        let url = self.hosts.find(authority).filter(|_| host.is_empty() || host == authority)?;
        Some(Target(Arc::clone(url)))
    }
}

fn panicked(span: &tracing::Span) -> Response {
    tracing::error!(parent: span, "a handler panicked");
    Refusal::new(ErrorCode::Internal, "the server failed; its log has the details under the request id").into_response()
}

/// Whether the URL holds something that is, or is named like, a token.
fn has_token(uri: &Uri) -> bool {
    let named = |name: &str| matches!(name, "token" | "access_token" | "session_token" | "id_token" | "jwt");
    let query = uri.query().unwrap_or_default();
    uri.path().contains("aks_")
        || query.contains("aks_")
        || query.split('&').any(|pair| named(pair.split('=').next().unwrap_or_default()))
}

/// Gives each request an id: the caller's own, where that is a harmless text, else a fresh one.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        // Distinct from other processes', and nothing more: ids are names, not secrets.
        Self { prefix: RandomState::new().hash_one(std::process::id()), next: AtomicU64::new(0) }
    }

    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        match headers.get(REQUEST_ID) {
            Some(id) if (1..=64).contains(&id.len()) && id.as_bytes().iter().all(harmless) => id.clone(),
            _ => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let text = format!("{:016x}{number:08x}", self.prefix);
                HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("none"))
            }
        }
    }
}

/// Counts answers by the class of their status, and times them.
#[derive(Debug)]
pub(crate) struct Meters {
    by_class: [metrics::Counter; 5],
    duration: metrics::Histogram,
}

impl Meters {
    pub(crate) fn new(server: &'static str) -> Self {
        let counter = |class| metrics::counter!("http_requests_total", "server" => server, "status" => class);
        Self {
            by_class: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(counter),
            duration: metrics::histogram!("http_request_duration_seconds", "server" => server),
        }
    }

    fn record(&self, status: http::StatusCode, elapsed: std::time::Duration) {
        if let Some(counter) = self.by_class.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            counter.increment(1);
        }
        self.duration.record(elapsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_may_say_where_a_request_came_from() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let stranger: IpAddr = "203.0.113.9".parse().unwrap();
        let trusted = TrustedProxies([proxy].into());
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "198.51.100.7, 203.0.113.9".parse().unwrap());
        headers.append("x-forwarded-for", "10.0.0.1".parse().unwrap());

        assert_eq!(trusted.source(proxy, &headers), stranger);
        assert_eq!(trusted.source(stranger, &headers), stranger);
        assert_eq!(trusted.source(proxy, &HeaderMap::new()), proxy);
    }

    #[test]
    fn a_token_in_a_url_is_seen() {
        for uri in ["/v1/session?access_token=x", "/v1/session?a=b&token=x", "/v1/session?q=aks_abc", "/v1/aks_abc"] {
            assert!(has_token(&uri.parse().unwrap()), "{uri}");
        }
        assert!(!has_token(&"/v1/sessions/standing?wait=30".parse().unwrap()));
    }
}
