mod answer;
mod request;

use std::{
    convert::Infallible,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use agentkeys_api::{DaemonCredentials, Problem};
use agentkeys_types::RoleName;
use async_trait::async_trait;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use self::{
    answer::Answer,
    request::{Asked, Names},
};
use crate::connections::{self, http};

/// Decides over what the endpoint is asked for, and records it.
#[async_trait]
pub trait EndpointDesk: Send + Sync + 'static {
    /// Credentials of `role` for the consumer whose token it is.
    ///
    /// May be dropped before it is done, when the client goes away.
    async fn hand_out(&self, unverified_token: &str, role: RoleName) -> Result<DaemonCredentials, Problem>;
}

/// Why the endpoint did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The system refused.
    #[error("cannot listen on {address}")]
    Io {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others could reach it, or SDKs would refuse it.
    #[error("the endpoint listens on 127.0.0.1 alone, and not on {0}")]
    NotLoopback(SocketAddr),
}

/// Where AWS SDKs find credentials over HTTP (`AWS_CONTAINER_CREDENTIALS_FULL_URI`).
///
/// Any process of the machine, and any page in a browser, can reach it. So it answers only to its own names, to nothing
/// that a browser says comes from a page, and to nobody without a token.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint;

impl Endpoint {
    /// Listens on `listen`, an address on 127.0.0.1 (port 0 picks a free one), and asks `desk` for what it answers.
    pub async fn open(listen: SocketAddr, desk: Arc<dyn EndpointDesk>) -> Result<RunningEndpoint, EndpointError> {
        if listen.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
            return Err(EndpointError::NotLoopback(listen));
        }
        let failed = |source| EndpointError::Io { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let door = Arc::new(HttpDoor { names: Names::of(address), desk });
        let (stop, stopped) = watch::channel(());
        let task = tokio::spawn(connections::serve(listener, move |stream| serve(stream, Arc::clone(&door)), stopped));
        Ok(RunningEndpoint { address, stop, task })
    }
}

/// An endpoint that answers. Stops when dropped.
#[derive(Debug)]
pub struct RunningEndpoint {
    address: SocketAddr,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningEndpoint {
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

struct HttpDoor {
    names: Names,
    desk: Arc<dyn EndpointDesk>,
}

impl fmt::Debug for HttpDoor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpDoor").field("names", &self.names).finish_non_exhaustive()
    }
}

impl HttpDoor {
    async fn answer(&self, request: http::Request<Incoming>) -> Answer {
        let (parts, _) = request.into_parts();
        let asked = match self.names.admit(&parts) {
            Ok(asked) => asked,
            Err(problem) => return answer::refusal(&problem),
        };
        match asked {
            Asked::Health => answer::health(),
            Asked::Credentials { unverified_token, role } => match self.desk.hand_out(unverified_token, role).await {
                Ok(credentials) => answer::credentials(credentials),
                Err(problem) => answer::refusal(&problem),
            },
        }
    }
}

/// One request for each connection: its buffers go with it, and with them the token and the credentials.
fn serve(
    stream: TcpStream,
    door: Arc<HttpDoor>,
) -> http1::Connection<
    TokioIo<TcpStream>,
    impl hyper::service::HttpService<
        Incoming,
        ResBody = http_body_util::Full<bytes::Bytes>,
        Error = Infallible,
        Future: Send,
    > + Send,
> {
    // Answers are small, and someone waits for each.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    http().keep_alive(false).serve_connection(TokioIo::new(stream), service)
}
