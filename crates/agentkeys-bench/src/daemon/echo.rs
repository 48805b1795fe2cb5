use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener},
};

use super::address::{Address, Stream};
use crate::process::{Process, free_address};

/// Reads so many bytes and answers with so many, whatever they are: what no door can be quicker than.
#[derive(Debug, Args)]
pub(crate) struct Echo {
    #[arg(long)]
    at: Address,
    #[arg(long)]
    asked: usize,
    #[arg(long)]
    answered: usize,
}

impl Echo {
    /// Starts one beside a door, on the same kind of socket.
    pub(super) async fn beside(
        door: &Address,
        (asked, answered): (usize, usize),
        folder: &Path,
    ) -> anyhow::Result<(Process, Address)> {
        let address = free_address()?;
        let at = match door {
            Address::Tcp(_) => Address::Tcp(address),
            Address::Unix(_) => Address::Unix(folder.join("echo.sock")),
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["echo", "--at", &at.to_string()]);
        command.args(["--asked", &asked.to_string(), "--answered", &answered.to_string()]);
        let process = Process::spawn(&mut command, address, &folder.join("log"))?;
        for _ in 0..500 {
            if at.connect().await.is_ok() {
                return Ok((process, at));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("the echo does not answer at {at}")
    }

    /// Answers until the process is ended.
    pub(crate) async fn serve(self) -> anyhow::Result<()> {
        let answer = answer(self.answered)?;
        match &self.at {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    tokio::spawn(echo(stream, self.asked, answer.clone()));
                }
            }
            Address::Unix(path) => {
                let listener = UnixListener::bind(path)?;
                loop {
                    tokio::spawn(echo(listener.accept().await?.0, self.asked, answer.clone()));
                }
            }
        }
    }
}

/// An HTTP answer of exactly `length` bytes.
fn answer(length: usize) -> anyhow::Result<Vec<u8>> {
    let head = |body: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {body:05}\r\n\r\n");
    let body = length.checked_sub(head(0).len()).context("that is too short for an answer")?;
    ensure!(body < 100_000, "that is too long for an answer");
    let mut answer = head(body).into_bytes();
    answer.resize(length, b'x');
    Ok(answer)
}

async fn echo(mut stream: impl Stream, asked: usize, answer: Vec<u8>) {
    let mut request = vec![0; asked];
    // Whoever hangs up has had enough.
    while stream.read_exact(&mut request).await.is_ok() && stream.write_all(&answer).await.is_ok() {}
}
