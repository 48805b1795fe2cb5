use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose reader keeps nothing of earlier requests while it waits for the next.
///
/// hyper reads each request into the place of the one before. Until the next comes in, all of the last is still there,
/// its bearer token included, for as long as the client keeps the connection. So does rustls, which decrypts a record
/// in the place into which it has read it: it stands between two of these.
#[derive(Debug)]
pub(crate) struct Wiped<S> {
    stream: S,
    beyond_reach: Arc<AtomicBool>,
}

/// What hyper reads at a time, to begin with: a buffer of this size is used from its start each time.
const BUFFER: usize = 8 * 1024;

impl<S> Wiped<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, beyond_reach: Arc::default() }
    }

    /// Whether the reader's buffer has grown, after a large request or a head in pieces.
    ///
    /// A grown one is used in turns, and what is not offered for reading cannot be wiped. The connection should
    /// end with the answer, and its buffer with it.
    pub(crate) fn beyond_reach(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.beyond_reach)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wiped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > BUFFER {
            self.beyond_reach.store(true, Ordering::Relaxed);
        }
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            // What counts as initialized is what was read there before.
            buffer.initialize_unfilled().fill(0);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wiped<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, mem::MaybeUninit};

    use super::*;

    #[tokio::test]
    async fn nothing_is_left_of_the_last_request_while_the_next_is_waited_for() {
        let (server, _client) = tokio::io::duplex(64);
        let mut server = Wiped::new(server);
        let (mut of_hyper, mut of_rustls) = ([MaybeUninit::new(b'k'); 64], [b'k'; 64]);
        for mut buffer in [ReadBuf::uninit(&mut of_hyper), ReadBuf::new(&mut of_rustls)] {
            let read = poll_fn(|context| Poll::Ready(Pin::new(&mut server).poll_read(context, &mut buffer))).await;

            assert!(read.is_pending());
            assert_eq!(buffer.initialized(), [0; 64]);
        }
    }

    #[tokio::test]
    async fn a_buffer_that_has_grown_is_noticed() {
        for (size, grown) in [(BUFFER, false), (BUFFER + 1, true)] {
            let (server, _client) = tokio::io::duplex(64);
            let mut server = Wiped::new(server);
            let mut place = vec![0; size];

            let read = |context: &mut Context<'_>| {
                Poll::Ready(Pin::new(&mut server).poll_read(context, &mut ReadBuf::new(&mut place)).is_pending())
            };

            assert!(poll_fn(read).await);
            assert_eq!(server.beyond_reach().load(Ordering::Relaxed), grown);
        }
    }
}
