use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Whose password it is.
pub(crate) const USER: &str = "broker";

/// Starts a mail server that passes everything on to `mailbox`, for whoever says the password (RFC 4954).
pub(crate) async fn start(mailbox: SocketAddr, password: &str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let proof = format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{USER}\0{password}")));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let proof = proof.clone();
            // A peer that goes away is its own affair.
            tokio::spawn(async move { drop(relay(client, mailbox, &proof).await) });
        }
    });
    address
}

async fn relay(client: TcpStream, mailbox: SocketAddr, proof: &str) -> io::Result<()> {
    let (from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = TcpStream::connect(mailbox).await?.into_split();
    let (mut asked, mut answered) = (BufReader::new(from_client).lines(), BufReader::new(from_server).lines());
    let mut is_proved = false;
    loop {
        tokio::select! {
            line = asked.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                if line.starts_with("AUTH ") {
                    is_proved = line == proof;
                    let reply = if is_proved { "235 2.7.0 Welcome\r\n" } else { "535 5.7.8 Wrong\r\n" };
                    to_client.write_all(reply.as_bytes()).await?;
                } else if line.starts_with("MAIL ") && !is_proved {
                    to_client.write_all(b"530 5.7.0 Authentication required\r\n").await?;
                } else {
                    to_server.write_all(format!("{line}\r\n").as_bytes()).await?;
                }
            }
            line = answered.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                to_client.write_all(format!("{line}\r\n").as_bytes()).await?;
                if line == "250-localhost" {
                    to_client.write_all(b"250-AUTH PLAIN\r\n").await?;
                }
            }
        }
    }
}
