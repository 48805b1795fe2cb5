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
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    Hosts, Nonces, Refusal, TlsChannel, TlsIdentity, TrustedProxies, descriptors,
    manners::{Manners, Meters, RequestIds},
    wiped::Wiped,
};

/// For request heads, and handshakes, that dribble in.
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
    tls: Option<TlsIdentity>,
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
        Ok(Self { name, listener, address, hosts, proxies, nonces: None, tls: None })
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

    /// Speaks TLS 1.3, and answers under `https` names. Each request then has its [`TlsChannel`] among its extensions.
    #[must_use]
    pub fn with_tls(mut self, identity: TlsIdentity) -> Self {
        self.hosts.allow_listener("https", self.address);
        self.tls = Some(identity);
        self
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
        let service = Service { router, manners, tls: self.tls };
        let task = tokio::spawn(accept(self.listener, service, stopped));
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

async fn accept(listener: TcpListener, service: Service, mut stopped: watch::Receiver<()>) {
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    tokio::spawn(service.clone().welcome(stream, peer.ip(), connections.watcher(), stopped.clone()));
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

/// What each connection is given.
#[derive(Clone)]
struct Service {
    router: Router,
    manners: Arc<Manners>,
    tls: Option<TlsIdentity>,
}

impl Service {
    async fn welcome(self, stream: TcpStream, peer: IpAddr, watcher: Watcher, mut stopped: watch::Receiver<()>) {
        // Answers are small, and someone waits for each.
        let _ = stream.set_nodelay(true);
        // A client that goes away in the middle is its own affair.
        let Some(tls) = self.tls.clone() else {
            drop(watcher.watch(self.answer(stream, peer, None)).await);
            return;
        };
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(Wiped::new(stream))) => shaken,
            _ = stopped.changed() => return,
        };
        match shaken {
            Ok(Ok((stream, channel))) => drop(watcher.watch(self.answer(stream, peer, Some(channel))).await),
            Ok(Err(error)) => tracing::debug!(%error, "no TLS connection came about"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        peer: IpAddr,
        channel: Option<TlsChannel>,
    ) -> http1::Connection<
        TokioIo<Wiped<S>>,
        impl hyper::service::HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> + Send,
    > {
        let stream = Wiped::new(stream);
        let beyond_reach = stream.beyond_reach();
        let Self { router, manners, .. } = self;
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            let (router, manners, beyond_reach) = (router.clone(), Arc::clone(&manners), Arc::clone(&beyond_reach));
            if let Some(channel) = channel {
                request.extensions_mut().insert(channel);
            }
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
}
