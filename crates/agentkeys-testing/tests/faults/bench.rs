use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use agentkeys_crypto::{private_file, random};
use agentkeys_testing::{Process, ReservedPort};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    client::{Client, Servers},
    smtp_relay,
};

/// The broker and the development parts as processes of their own, on a state that outlives them.
pub(crate) struct Bench {
    settings: Settings,
    folder: TempDir,
    broker_port: ReservedPort,
    metrics_port: ReservedPort,
    master_secret: String,
    running: Option<Running>,
}

/// What a test wants otherwise.
pub(crate) struct Settings {
    /// What the processes log.
    pub(crate) log: &'static str,
    /// What the broker's mail server wants to hear before it takes mail.
    pub(crate) smtp_password: Option<String>,
    /// More sections of the broker's settings.
    pub(crate) sections: String,
    /// How a process is started whose state is in the folder.
    pub(crate) launch: fn(state: &Path, binary: PathBuf) -> Command,
}

impl Default for Settings {
    fn default() -> Self {
        Self { log: "info", smtp_password: None, sections: String::new(), launch: |_, binary| Process::command(binary) }
    }
}

struct Running {
    broker: Process,
    parts: Process,
    servers: Servers,
    ready_after: Duration,
}

impl Bench {
    /// Starts everything.
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// Starts everything with settings of the test's own.
    pub(crate) async fn start_with(settings: Settings) -> Self {
        let mut bench = Self {
            settings,
            folder: tempfile::tempdir().unwrap(),
            broker_port: ReservedPort::take(),
            metrics_port: ReservedPort::take(),
            master_secret: hex::encode(random::<32>()),
            running: None,
        };
        for state in [bench.broker_state(), bench.parts_state()] {
            fs::create_dir(state).unwrap();
        }
        bench.resume().await;
        bench
    }

    /// Starts everything on the state that there is.
    pub(crate) async fn resume(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let mut parts = self.start_parts();
        let smtp = parts.address_in("a mailbox takes mail").await;
        let aws = parts.address_in("a stand-in for AWS listens").await;
        let signer = parts.address_in("development parts listen").await;
        self.configure_broker(smtp).await;
        let (broker, ready_after) = self.start_broker().await;
        let servers = Servers { broker: self.broker_port.address(), signer, aws };
        self.running = Some(Running { broker, parts, servers, ready_after });
    }

    /// Kills everything at once; gives what the processes wrote.
    pub(crate) async fn kill(&mut self) -> Vec<u8> {
        let running = self.running.take().expect("it runs");
        let (mut broker, parts) = tokio::join!(running.broker.kill(), running.parts.kill());
        broker.extend(parts);
        broker
    }

    /// A client without any connections yet.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.running().servers)
    }

    /// Where the broker keeps its store and keys.
    pub(crate) fn broker_state(&self) -> PathBuf {
        self.folder.path().join("broker")
    }

    /// Where the signer keeps its log.
    pub(crate) fn parts_state(&self) -> PathBuf {
        self.folder.path().join("parts")
    }

    /// The broker.
    pub(crate) fn broker(&self) -> &Process {
        &self.running().broker
    }

    /// The signer, mailbox and AWS stand-in.
    pub(crate) fn parts(&self) -> &Process {
        &self.running().parts
    }

    /// How long the broker took from its start until it was ready.
    pub(crate) fn ready_after(&self) -> Duration {
        self.running().ready_after
    }

    /// Where the broker's metrics are.
    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.metrics_port.address())
    }

    /// What the signer derives every wallet from.
    pub(crate) fn master_secret(&self) -> &str {
        &self.master_secret
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    fn start_parts(&self) -> Process {
        let issuer = format!("http://{}", self.broker_port.address());
        let mut command = (self.settings.launch)(&self.parts_state(), Process::binary("agentkeys-mock-server"));
        for listener in ["--listen", "--aws-listen", "--smtp-listen"] {
            command.args([listener, "127.0.0.1:0"]);
        }
        command.args(["--log", self.settings.log, "--broker-url", &issuer, "--trust-issuer", &issuer]);
        command.arg("--state").arg(self.parts_state());
        command.env("DEV_KEY_SERVICE_MASTER_SECRET", &self.master_secret);
        Process::start(command)
    }

    async fn configure_broker(&self, mailbox: SocketAddr) {
        let (smtp, credentials) = match &self.settings.smtp_password {
            Some(password) => {
                let file = self.folder.path().join("smtp-password");
                private_file::create_new(&file, password.as_bytes()).unwrap();
                let credentials =
                    format!("username = \"{}\"\npassword_file = \"{}\"\n", smtp_relay::USER, file.display());
                (smtp_relay::start(mailbox, password).await, credentials)
            }
            None => (mailbox, String::new()),
        };
        let issuer = self.broker_port.address();
        let (most, sections) = (u32::MAX, &self.settings.sections);
        let text = format!(
            "issuer = \"http://{issuer}\"\n\
             [limits]\nmails_per_address_and_hour = {most}\nmails_per_source_and_hour = {most}\nmails_per_hour = {most}\n\
             codes_per_source_and_hour = {most}\nmints_per_account_and_minute = {most}\n\
             [mail]\nsmtp = \"smtp://{smtp}\"\n{credentials}{sections}"
        );
        fs::write(self.config_file(), text).unwrap();
    }

    async fn start_broker(&self) -> (Process, Duration) {
        let mut command = (self.settings.launch)(&self.broker_state(), Process::binary("agentkeys-broker"));
        command.arg("--config").arg(self.config_file()).arg("--state").arg(self.broker_state());
        command.arg("--listen").arg(self.broker_port.address().to_string());
        command.arg("--metrics-listen").arg(self.metrics_port.address().to_string());
        command.args(["--log", self.settings.log]);
        let started = Instant::now();
        let mut broker = Process::start(command);
        let address = broker.address_in("the broker answers").await;
        let ready = reqwest::get(format!("http://{address}/readyz")).await.unwrap();
        assert!(ready.status().is_success(), "{:?}", ready.text().await);
        (broker, started.elapsed())
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("broker.toml")
    }
}
