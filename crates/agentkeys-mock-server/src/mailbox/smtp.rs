mod command;
mod conversation;
mod lines;

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use self::conversation::{BUSY, CLOSING, Conversation, GREETING};
use super::Mailbox;

/// RFC 5321 section 4.5.3.2.7: a server waits at least five minutes for the next command.
const PATIENCE: Duration = Duration::from_mins(5);
const MOST_CONNECTIONS: usize = 64;

/// Takes mail over SMTP (RFC 5321) into a [`Mailbox`]. Stops when dropped.
///
/// Without TLS and without passwords, which is why it belongs on loopback only.
#[derive(Debug)]
pub struct SmtpListener {
    address: SocketAddr,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl SmtpListener {
    /// Starts listening at `address`; port 0 picks a free one.
    pub async fn start(mailbox: Mailbox, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(());
        let task = tokio::spawn(accept(listener, mailbox, stopped));
        tracing::warn!(%address, "DEV ONLY: a mailbox takes mail over SMTP");
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, and returns when the open connections have been told.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

async fn accept(listener: TcpListener, mailbox: Mailbox, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    while connections.try_join_next().is_some() {}
                    let is_busy = connections.len() >= MOST_CONNECTIONS;
                    connections.spawn(converse(stream, mailbox.clone(), stopped.clone(), is_busy));
                }
                Err(error) => {
                    tracing::warn!(%error, "an SMTP connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Holds one conversation; a peer that goes away in the middle of it has delivered nothing.
async fn converse(stream: TcpStream, mailbox: Mailbox, stopped: watch::Receiver<()>, is_busy: bool) {
    if let Err(error) = talk(stream, &mailbox, stopped, is_busy).await {
        tracing::debug!(%error, "an SMTP connection ended early");
    }
}

async fn talk(
    mut stream: TcpStream,
    mailbox: &Mailbox,
    mut stopped: watch::Receiver<()>,
    is_busy: bool,
) -> io::Result<()> {
    if is_busy {
        return say(&mut stream, BUSY).await;
    }
    say(&mut stream, GREETING).await?;
    let mut conversation = Conversation::default();
    let mut received = [0; 4096];
    loop {
        acknowledge_at_once(&stream);
        let count = tokio::select! {
            read = timeout(PATIENCE, stream.read(&mut received)) => match read {
                Ok(read) => read?,
                Err(_) => return say(&mut stream, CLOSING).await,
            },
            _ = stopped.changed() => return say(&mut stream, CLOSING).await,
        };
        if count == 0 {
            return Ok(());
        }
        let replies = conversation.receive(&received[..count], mailbox);
        say(&mut stream, &replies).await?;
        if conversation.is_over() {
            return Ok(());
        }
    }
}

/// A mail comes in two pieces, and most clients send the second only after the first is acknowledged, which
/// the system would otherwise put off for 40 ms in the hope of a reply to go with it.
#[cfg(target_os = "linux")]
fn acknowledge_at_once(stream: &TcpStream) {
    // Not lasting: the system goes back to its own ways after a while.
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_at_once(_: &TcpStream) {}

async fn say(stream: &mut TcpStream, replies: &str) -> io::Result<()> {
    timeout(PATIENCE, stream.write_all(replies.as_bytes())).await?
}
