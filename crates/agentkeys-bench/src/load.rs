use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::process::Process;

/// What a number of requests cost the server, and how long each took.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) cpu: Duration,
    pub(crate) elapsed: Duration,
    latencies: Latencies,
}

impl Measured {
    /// CPU time of one request.
    pub(crate) fn cpu_each(&self) -> Duration {
        self.cpu / self.latencies.count()
    }

    /// Requests in a second of CPU time.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        1.0 / self.cpu_each().as_secs_f64()
    }

    /// Requests in a second on the wall.
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.latencies.count()) / self.elapsed.as_secs_f64()
    }

    /// The latency that `share` of the requests stayed under.
    pub(crate) fn latency(&self, share: f64) -> Duration {
        self.latencies.at(share)
    }
}

/// How long each of a number of things took; at least one.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn new(mut latencies: Vec<Duration>) -> anyhow::Result<Self> {
        ensure!(!latencies.is_empty(), "nothing was measured");
        latencies.sort();
        Ok(Self(latencies))
    }

    /// What `share` of them stayed under.
    pub(crate) fn at(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = (self.0.len() as f64 * share) as usize;
        self.0[index.min(self.0.len() - 1)]
    }

    fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

/// An HTTP POST, ready to be written.
pub(crate) fn post(address: SocketAddr, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{authorization}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends all `requests`, `callers` of them at a time, and measures what that costs the server.
pub(crate) async fn send(server: &Process, callers: usize, requests: Vec<Vec<u8>>) -> anyhow::Result<Measured> {
    let address = server.address;
    send_over(server, callers, requests, || Connection::open(address)).await
}

/// As [`send`], over connections of any kind.
pub(crate) async fn send_over<S, O>(
    server: &Process,
    callers: usize,
    requests: Vec<Vec<u8>>,
    open: impl Fn() -> O,
) -> anyhow::Result<Measured>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    O: Future<Output = anyhow::Result<Connection<S>>> + Send + 'static,
{
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    let (cpu, started) = (server.cpu_time()?, Instant::now());
    for _ in 0..callers {
        let (requests, next, opening) = (Arc::clone(&requests), Arc::clone(&next), open());
        tasks.push(tokio::spawn(async move {
            let mut connection = opening.await?;
            let mut latencies = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let started = Instant::now();
                connection.exchange(request).await?;
                latencies.push(started.elapsed());
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let (cpu, elapsed) = (server.cpu_time()?.saturating_sub(cpu), started.elapsed());
    Ok(Measured { cpu, elapsed, latencies: Latencies::new(latencies)? })
}

/// Warms up with a tenth of the requests, then takes the run of median CPU time out of three.
pub(crate) async fn median(
    server: &Process,
    callers: usize,
    count: usize,
    request: impl Fn(usize) -> Vec<u8>,
) -> anyhow::Result<Measured> {
    let batch = |count: usize| (0..count).map(&request).collect::<Vec<_>>();
    send(server, callers, batch(count / 10)).await?;
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(send(server, callers, batch(count)).await?);
    }
    runs.sort_by_key(|run| run.cpu);
    Ok(runs.swap_remove(1))
}

/// A connection that is kept, for one request after another.
pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::with_capacity(4096) }
    }

    /// Writes a request and reads its answer, which must be a success; how many bytes that has.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<usize> {
        let status = self.ask(request).await?;
        ensure!(status / 100 == 2, "{}", String::from_utf8_lossy(&self.buffer));
        Ok(self.buffer.len())
    }

    /// A header of the last answer, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let mut lines = std::str::from_utf8(&self.buffer[..head]).ok()?.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Writes a request, reads its answer to the end, and returns its status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server hung up");
            let Some(head) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.buffer[..head])?;
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
            if self.buffer.len() >= head + 4 + length.parse::<usize>()? {
                return Ok(text.split(' ').nth(1).context("no status")?.parse()?);
            }
        }
    }
}
