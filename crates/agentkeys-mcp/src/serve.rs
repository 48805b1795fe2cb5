use rmcp::{
    ServiceExt,
    service::{QuitReason, ServerInitializeError},
    transport::async_rw::AsyncRwTransport,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::AgentTools;

/// The longest message of a client; the longest call that a tool takes is far shorter.
const LONGEST_LINE: usize = 256 * 1024;

/// Why a client was not served to its end.
///
/// What the client sent is not repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The client does not begin as the protocol says.
    #[error("the client does not speak the Model Context Protocol")]
    NotMcp,
    /// A fault on this side.
    #[error("the connection to the client broke")]
    Broken,
}

/// Answers one client over `reader` and `writer`, until it closes its end.
///
/// What was asked before that is still answered.
pub async fn serve<R, W>(tools: AgentTools, reader: R, writer: W) -> Result<(), ServeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let transport = AsyncRwTransport::new(reader, writer).with_max_line_length(LONGEST_LINE);
    let running = match tools.serve(transport).await {
        Ok(running) => running,
        // It went away before it asked for anything.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(ServerInitializeError::TransportError { .. }) => return Err(ServeError::Broken),
        Err(_) => return Err(ServeError::NotMcp),
    };
    match running.waiting().await {
        Ok(QuitReason::Closed | QuitReason::Cancelled) => Ok(()),
        _ => Err(ServeError::Broken),
    }
}
