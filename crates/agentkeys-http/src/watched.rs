use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

/// A request's body on its way to a handler, which may leave it unread.
struct Watched {
    body: Incoming,
    read: Arc<AtomicBool>,
}

/// Tells whether a body was taken in to its end.
#[derive(Debug)]
pub(crate) struct Reading(Arc<AtomicBool>);

impl Reading {
    /// Watches `body` on its way to a handler.
    pub(crate) fn of(body: Incoming) -> (Body, Self) {
        let read = Arc::new(AtomicBool::new(body.is_end_stream()));
        (Body::new(Watched { body, read: Arc::clone(&read) }), Self(read))
    }

    /// Whether nothing of the body is left.
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.read.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
