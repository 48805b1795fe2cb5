use std::{future::Future, io, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::TokioTimer,
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, watch},
};

/// How many connections there may be at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 256;
/// How long a connection may be silent, or let its request dribble in.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest head of a request.
const LARGEST_HEAD: usize = 16 * 1024;
/// How long a door that closes waits for the answers under way.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Where connections come in.
pub(crate) trait Listener: Send + 'static {
    /// One of them.
    type Stream: Send;

    /// The next one.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// How every door reads HTTP: a head within limits of time and size.
pub(crate) fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(LARGEST_HEAD);
    http
}

/// Serves what comes in at `listener`, so many at once and no more, until told to stop; returns when the answers under
/// way have left.
pub(crate) async fn serve<L: Listener, C>(
    listener: L,
    open: impl Fn(L::Stream) -> C + Send,
    mut stopped: watch::Receiver<()>,
) where
    C: GracefulConnection + Send + 'static,
    C::Error: Send,
{
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let next = async || {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        Ok::<_, io::Error>((listener.next().await?, place))
    };
    loop {
        let accepted = tokio::select! {
            accepted = next() => accepted,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, place)) => {
                let connection = connections.watch(open(stream));
                tokio::spawn(async move {
                    // A client that goes away in the middle is its own affair.
                    let _ = connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: let some connections end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(LAST_ANSWERS, connections.shutdown()).await;
}
