use std::{
    ffi::OsStr,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpSocket,
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

/// How long a process may take to write a line that a test waits for, unless the test says otherwise.
const PATIENCE: Duration = Duration::from_secs(20);

/// One of our binaries, running. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Output,
    readers: Vec<JoinHandle<()>>,
    patience: Duration,
}

/// What a process has written so far, and whether more may come.
#[derive(Clone, Debug)]
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    grown: Arc<watch::Sender<()>>,
}

impl Process {
    /// Where cargo has put one of our binaries.
    ///
    /// # Panics
    ///
    /// When it is not built.
    pub fn binary(name: &str) -> PathBuf {
        let own = std::env::current_exe().expect("a test knows where it is");
        // Tests lie in `deps`, next to which the binaries are.
        let folder = own.parent().and_then(|deps| deps.parent()).expect("a test lies in a target folder");
        let path = folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
        assert!(path.exists(), "{} is missing: run `cargo build --workspace --bins` first", path.display());
        path
    }

    /// A command with an environment of its own, in which colours are off.
    pub fn command(program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("NO_COLOR", "1").env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// Starts a command and keeps what it writes.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let output = Output { bytes: Arc::default(), grown: Arc::new(watch::Sender::new(())) };
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(output.clone().keep(stdout)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(output.clone().keep(stderr)));
        }
        Self { child, output, readers, patience: PATIENCE }
    }

    /// The same, which may take this long for each thing that a test waits for.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The first line that contains `part`, as soon as it is there.
    ///
    /// # Panics
    ///
    /// When the process ends without it, or takes too long.
    pub async fn line_with(&mut self, part: &str) -> String {
        let mut grown = self.output.grown.subscribe();
        let search = async {
            loop {
                if let Some(line) = self.output.line_with(part) {
                    return line;
                }
                tokio::select! {
                    changed = grown.changed() => changed.expect("the sender lives in this process"),
                    status = self.child.wait() => {
                        for reader in &mut self.readers {
                            let _ = reader.await;
                        }
                        let line = self.output.line_with(part);
                        return line.unwrap_or_else(|| panic!("ended without `{part}`: {status:?}\n{}", self.output.text()));
                    }
                }
            }
        };
        let patience = self.patience;
        let found = tokio::time::timeout(patience, search).await;
        found.unwrap_or_else(|_| panic!("no `{part}` in {patience:?}\n{}", self.output.text()))
    }

    /// The address in the first line that contains `part`: `… address=127.0.0.1:8470`.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn address_in(&mut self, part: &str) -> SocketAddr {
        let line = self.line_with(part).await;
        let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address in {line}"))
    }

    /// All that it has written so far.
    pub fn output(&self) -> Vec<u8> {
        self.output.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn id(&self) -> u32 {
        self.child.id().expect("a process that runs")
    }

    /// How it ends by itself.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn ended(&mut self) -> ExitStatus {
        let patience = self.patience;
        let ended = tokio::time::timeout(patience, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("it runs on after {patience:?}\n{}", self.output.text()));
        for reader in &mut self.readers {
            let _ = reader.await;
        }
        self.readers.clear();
        ended.expect("a child can be waited for")
    }

    /// Ends it at once with SIGKILL; gives all that it wrote.
    ///
    /// # Panics
    ///
    /// When it had ended by itself before.
    pub async fn kill(mut self) -> Vec<u8> {
        let ended = self.child.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "it had ended already: {ended:?}\n{}", self.output.text());
        self.child.kill().await.expect("a child can be killed");
        for reader in self.readers.drain(..) {
            let _ = reader.await;
        }
        self.output()
    }
}

impl Output {
    async fn keep(self, mut stream: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            self.grown.send_replace(());
        }
    }

    fn line_with(&self, part: &str) -> Option<String> {
        let text = self.text();
        // A line that has not ended may still grow.
        text.split_inclusive('\n').find(|line| line.ends_with('\n') && line.contains(part)).map(str::to_owned)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// A port on loopback that nobody else gets while this lives, and on which one server after another can listen.
#[derive(Debug)]
pub struct ReservedPort {
    address: SocketAddr,
    _held: TcpSocket,
}

impl ReservedPort {
    /// Reserves a free port.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn take() -> Self {
        let held = TcpSocket::new_v4().expect("a socket");
        // Bound without listening: it keeps the port, and lets whoever reuses addresses listen there.
        held.set_reuseaddr(true).expect("a fresh socket takes options");
        held.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        Self { address: held.local_addr().expect("a bound socket has an address"), _held: held }
    }

    /// The port's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
