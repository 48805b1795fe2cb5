use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};

/// How much of a body that nobody wanted is still taken in, and for how long.
const LARGEST_REST: usize = 256 * 1024;
const LONGEST_REST: Duration = Duration::from_millis(500);

/// A request's body on its way to a handler, which may leave it unread.
struct Watched {
    /// Gone once it is handed back.
    body: Option<Incoming>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    read: AtomicBool,
    left: Mutex<Option<Incoming>>,
}

/// Tells whether a body was taken in to its end.
#[derive(Debug)]
pub(crate) struct Reading(Arc<State>);

impl Reading {
    /// Watches `body` on its way to a handler.
    pub(crate) fn of(body: Incoming) -> (Body, Self) {
        let state = Arc::new(State { read: AtomicBool::new(body.is_end_stream()), left: Mutex::default() });
        (Body::new(Watched { body: Some(body), state: Arc::clone(&state) }), Self(state))
    }

    /// Whether nothing of the body is left.
    pub(crate) fn is_over(&self) -> bool {
        self.0.read.load(Ordering::Relaxed)
    }

    /// Takes in what the handler has left, within limits.
    ///
    /// A connection that ends with something unread is reset, and the reset can overtake the answer.
    pub(crate) async fn finish(&self) {
        let left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut left) = left else { return };
        let taking = async {
            let mut taken = 0;
            while taken < LARGEST_REST
                && let Some(Ok(frame)) = left.frame().await
            {
                taken += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        let _ = tokio::time::timeout(LONGEST_REST, taking).await;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.state.read.load(Ordering::Relaxed) {
            *self.state.left.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || body.is_end_stream() {
            self.state.read.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
