use std::{
    convert::Infallible,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use agentkeys_api::ErrorCode;
use axum::{Router, body::Body};
use http::{HeaderValue, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    Hosts, Nonces, Refusal, TrustedProxies, descriptors,
    manners::{Manners, Meters, RequestIds},
    wiped::Wiped,
};

/// For request heads that dribble in.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stopping server waits for the answers under way.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ServerError {
    address: SocketAddr,
    source: io::Error,
}

impl ServerError {
    /// Whether another process has the port.
    pub fn is_taken(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

/// An empty router whose unknown paths are refused in our shape.
///
/// [`Server::serve`] does the same for any router, and for wrong methods too.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().fallback(unknown_path)
}

async fn unknown_path() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is nothing here")
}

async fn wrong_method() -> Refusal {
    Refusal::new(ErrorCode::MethodNotAllowed, "this path takes other methods: see `Allow`")
}

/// A bound listener, about to serve.
pub struct Server {
    name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
    hosts: Hosts,
    proxies: TrustedProxies,
    nonces: Option<Nonces>,
}

impl Server {
    /// Binds `address`; port 0 picks a free one. `name` labels its metrics.
    pub async fn bind(name: &'static str, address: SocketAddr) -> Result<Self, ServerError> {
        descriptors::raise_limit();
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bound.await.map_err(|source| ServerError { address, source })?;
        let (hosts, proxies) = (Hosts::of_listener(address), TrustedProxies::default());
        Ok(Self { name, listener, address, hosts, proxies, nonces: None })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers at `url` too: scheme and authority, without a slash at its end.
    pub fn allow_url(&mut self, url: &str) {
        self.hosts.allow(url);
    }

    /// Gives a nonce to whoever sends a proof (RFC 9449 section 8.2).
    pub fn give_nonces(&mut self, nonces: Nonces) {
        self.nonces = Some(nonces);
    }

    /// Believes `X-Forwarded-For` from these proxies.
    pub fn trust_proxies(&mut self, proxies: TrustedProxies) {
        self.proxies = proxies;
    }

    /// Serves `router` until told to stop.
    pub fn serve(self, router: Router) -> Running {
        // Here, because axum applies the second one only to the routes that are already there.
        let router = router.fallback(unknown_path).method_not_allowed_fallback(wrong_method);
        let (stop, stopped) = watch::channel(());
        let address = self.address;
        let manners = Arc::new(Manners {
            hosts: self.hosts,
            proxies: self.proxies,
            meters: Meters::new(self.name),
            nonces: self.nonces,
            ids: RequestIds::new(),
        });
        let task = tokio::spawn(accept(self.listener, router, manners, stopped));
        Running { address, stop, task }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Server")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A server that answers. Stops when dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, and returns when the answers under way have left, or after five seconds.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

async fn accept(listener: TcpListener, router: Router, manners: Arc<Manners>, mut stopped: watch::Receiver<()>) {
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let connection = answer(stream, peer.ip(), router.clone(), Arc::clone(&manners));
                    let connection = connections.watch(connection);
                    // A client that goes away in the middle is its own affair.
                    tokio::spawn(async move { drop(connection.await) });
                }
                Err(error) => {
                    // Out of descriptors, most likely: let some connections end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(LAST_ANSWERS, connections.shutdown()).await;
}

fn answer(
    stream: TcpStream,
    peer: IpAddr,
    router: Router,
    manners: Arc<Manners>,
) -> http1::Connection<
    TokioIo<Wiped<TcpStream>>,
    impl hyper::service::HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> + Send,
> {
    // Answers are small, and someone waits for each.
    let _ = stream.set_nodelay(true);
    let stream = Wiped::new(stream);
    let beyond_reach = stream.beyond_reach();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (router, manners, beyond_reach) = (router.clone(), Arc::clone(&manners), Arc::clone(&beyond_reach));
        async move {
            let mut answer = manners.answer(request, router, peer).await;
            if beyond_reach.load(Ordering::Relaxed) {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
}
