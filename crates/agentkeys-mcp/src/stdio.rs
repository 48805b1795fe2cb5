use std::{io, os::unix::net::UnixStream as Pipe, thread};

use tokio::{net::UnixStream, sync::oneshot};

use crate::{AgentTools, ServeError, serve};

/// Answers the client on standard input and output, until it closes its end.
///
/// Each of the two has a thread that nobody waits for. Those of tokio's own would keep a process that is told to end
/// until the client reads or writes once more.
pub async fn serve_stdio(tools: AgentTools) -> Result<(), ServeError> {
    let (feed, input) = pipe().map_err(|_| ServeError::Broken)?;
    let (drain, output) = pipe().map_err(|_| ServeError::Broken)?;
    let (done, drained) = oneshot::channel();
    thread::spawn(move || io::copy(&mut io::stdin(), &mut &feed));
    thread::spawn(move || {
        let copied = io::copy(&mut &drain, &mut io::stdout());
        // Whoever waited for it may have been told to end.
        let _ = done.send(copied);
    });
    serve(tools, input, output).await?;
    // The last answers are on their way still; a client that has gone away needs none.
    let _ = drained.await;
    Ok(())
}

/// A blocking end and one for tasks.
fn pipe() -> io::Result<(Pipe, UnixStream)> {
    let (blocking, waiting) = Pipe::pair()?;
    waiting.set_nonblocking(true)?;
    Ok((blocking, UnixStream::from_std(waiting)?))
}
