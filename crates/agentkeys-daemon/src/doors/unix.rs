use std::{convert::Infallible, sync::Arc};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, sync::watch, task::JoinHandle};
use tower::ServiceExt;

use crate::{
    Socket,
    connections::{self, http},
    routes::{Caller, Station, router},
};

/// A socket that answers. Closes when dropped.
pub(super) struct UnixDoor {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl UnixDoor {
    pub(super) fn open(socket: Socket, station: Station) -> Self {
        let (stop, stopped) = watch::channel(());
        let (listener, file) = socket.into_parts();
        let routes = router(station);
        let task = tokio::spawn(async move {
            connections::serve(listener, move |stream| serve(stream, routes.clone()), stopped).await;
            drop(file);
        });
        Self { stop, task }
    }

    /// Stops listening, and returns when the answers under way have left.
    pub(super) async fn close(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

/// Whoever is at the other end is looked at as soon as they are there.
fn serve(
    stream: UnixStream,
    routes: Router,
) -> http1::Connection<
    TokioIo<UnixStream>,
    impl hyper::service::HttpService<Incoming, ResBody = axum::body::Body, Error = Infallible, Future: Send> + Send,
> {
    let caller = Arc::new(Caller::of(&stream));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(Caller::clone(&caller)));
        routes.clone().oneshot(request)
    });
    http().serve_connection(TokioIo::new(stream), service)
}
