mod processes;
mod spare_sessions;

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use agentkeys_api::EmailStarted;
use agentkeys_client::{
    AttestationPolicy, Binding, BrokerClient, ClientError, CodePrompt, EmailSignIn, Flow, Http, KeptAttestations,
    Observer, Places, ProfileName, Role, ServerUrl, Session, SignerClient, SignerTrust, StsClient, Walked,
};
use agentkeys_crypto::random;
use agentkeys_mock_server::AwsConfig;
use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

use self::processes::{AS_AWS, SessionLengths, start_broker, start_parts, start_parts_in};
use crate::{CodesRead, Process, ReservedPort, TestProvider, Worker};

/// Which signer a [`System`] has where a test does not say: `worker` for the TEE worker.
const SIGNER_VARIABLE: &str = "AGENTKEYS_TEST_SIGNER";

/// The broker and the development parts as processes of their own, as a team runs them.
#[derive(Debug)]
pub struct System {
    aws: SocketAddr,
    signer: SocketAddr,
    issuer: ReservedPort,
    folder: TempDir,
    master_secret: [u8; 32],
    broker: Option<Process>,
    parts: Option<Process>,
    /// The signer, where it is not the development parts' own.
    worker: Option<Worker>,
    codes: CodesRead,
    start: Start,
}

/// How the processes were started, to start them so again.
#[derive(Debug)]
struct Start {
    smtp: SocketAddr,
    log: String,
    settings: String,
    lengths: SessionLengths,
}

impl System {
    /// The one bucket there is.
    pub const BUCKET: &str = AwsConfig::DEFAULT_BUCKET;
    /// The one role there is.
    pub const ROLE_ARN: &str = AwsConfig::DEFAULT_ROLE_ARN;

    /// Starts everything on free ports, the broker from a file of settings.
    ///
    /// The signer is the development signer, or the TEE worker where `AGENTKEYS_TEST_SIGNER` says `worker`.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`System::start`], with the TEE worker as the signer.
    pub async fn start_with_worker() -> Self {
        Self::start_with_worker_settings("").await
    }

    /// As [`System::start_with_worker`], with more settings of the worker.
    pub async fn start_with_worker_settings(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut system = Self::start_servers(folder, "info", "", AS_AWS).await;
        system.hire_worker(settings).await;
        system
    }

    /// As [`System::start`], with more settings of the broker.
    pub async fn start_with(settings: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), "info", settings, AS_AWS).await
    }

    /// As [`System::start`], with an STS whose sessions may be as short as a second, and last for `life` where no
    /// length is asked for.
    pub async fn start_with_short_sessions(life: Duration) -> Self {
        let lengths = SessionLengths { shortest: Duration::from_secs(1), unless_asked: life };
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), "info", "", lengths).await
    }

    /// As [`System::start`], with an OpenID Provider that the broker calls `acme`, and a broker that logs all it can.
    pub async fn start_with_provider(provider: &TestProvider) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = provider.settings(folder.path());
        Self::start_in(folder, "trace", &settings, AS_AWS).await
    }

    async fn start_in(folder: TempDir, log: &str, settings: &str, lengths: SessionLengths) -> Self {
        let mut system = Self::start_servers(folder, log, settings, lengths).await;
        if wants_worker() {
            system.hire_worker("").await;
        }
        system
    }

    /// Has the TEE worker sign from now on, with these among its settings.
    async fn hire_worker(&mut self, settings: &str) {
        let folder = self.folder.path().join("worker");
        self.worker = Some(Worker::start(&folder, &self.broker_url(), settings).await);
    }

    async fn start_servers(folder: TempDir, log: &str, settings: &str, lengths: SessionLengths) -> Self {
        let issuer = ReservedPort::take();
        let master_secret = random();
        let anywhere = [SocketAddr::from(([127, 0, 0, 1], 0)); 3];
        let mut parts = start_parts(&folder, issuer.address(), anywhere, &master_secret, lengths);
        let smtp = parts.address_in("a mailbox takes mail").await;
        let aws = parts.address_in("a stand-in for AWS listens").await;
        let signer = parts.address_in("development parts listen").await;
        let mut broker = start_broker(&folder, issuer.address(), smtp, log, settings);
        broker.line_with("the broker answers").await;
        let start = Start { smtp, log: log.to_owned(), settings: settings.to_owned(), lengths };
        let (broker, parts) = (Some(broker), Some(parts));
        let (worker, codes) = (None, CodesRead::default());
        Self { aws, signer, issuer, folder, master_secret, broker, parts, worker, codes, start }
    }

    /// Ends the broker at once, as a crash does.
    pub async fn kill_broker(&mut self) {
        self.broker.take().expect("a broker that runs").kill().await;
    }

    /// Starts the broker again where it was, on what it has left.
    pub async fn restart_broker(&mut self) {
        let Start { smtp, log, settings, .. } = &self.start;
        let mut broker = start_broker(&self.folder, self.issuer.address(), *smtp, log, settings);
        broker.line_with("the broker answers").await;
        self.broker = Some(broker);
    }

    /// Ends the signer, the mailbox and the AWS stand-in at once.
    pub async fn kill_parts(&mut self) {
        self.parts.take().expect("parts that run").kill().await;
        if let Some(worker) = &mut self.worker {
            worker.kill().await;
        }
    }

    /// Starts the signer, the mailbox and the AWS stand-in again where they were.
    pub async fn restart_parts(&mut self) {
        let addresses = [self.signer, self.aws, self.start.smtp];
        let issuer = self.issuer.address();
        let mut parts = start_parts(&self.folder, issuer, addresses, &self.master_secret, self.start.lengths);
        parts.line_with("development parts listen").await;
        self.parts = Some(parts);
        if let Some(worker) = &mut self.worker {
            worker.restart().await;
        }
    }

    /// Another process with an AWS stand-in that trusts the broker, at `address`.
    pub async fn start_other_aws(&self, address: SocketAddr) -> Process {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let (folder, issuer) = (self.folder.path().join("other"), self.issuer.address());
        let addresses = [anywhere, address, anywhere];
        let mut parts = start_parts_in(&folder, issuer, addresses, &self.master_secret, self.start.lengths);
        parts.line_with("development parts listen").await;
        parts
    }

    /// The URL of the broker.
    pub fn broker_url(&self) -> String {
        format!("http://{}", self.issuer.address())
    }

    /// The URL of the signer.
    pub fn signer_url(&self) -> String {
        self.worker.as_ref().map_or_else(|| self.development_signer_url(), Worker::url)
    }

    /// The URL of the development signer, which the development parts have in any case.
    pub fn development_signer_url(&self) -> String {
        format!("http://{}", self.signer)
    }

    /// Whether the signer is the TEE worker.
    pub fn has_worker(&self) -> bool {
        self.worker.is_some()
    }

    /// The TEE worker.
    ///
    /// # Panics
    ///
    /// When the signer is the development signer.
    pub fn worker(&self) -> &Worker {
        self.worker.as_ref().expect("a worker")
    }

    /// As [`System::worker`], to kill and restart it.
    ///
    /// # Panics
    ///
    /// When the signer is the development signer.
    pub fn worker_mut(&mut self) -> &mut Worker {
        self.worker.as_mut().expect("a worker")
    }

    /// The URL of the mailbox.
    fn mailbox_url(&self) -> String {
        self.development_signer_url()
    }

    /// The URL of the AWS stand-in.
    pub fn aws_url(&self) -> String {
        format!("http://{}", self.aws)
    }

    /// The folder of what the stand-in's bucket holds.
    pub fn bucket_folder(&self) -> PathBuf {
        self.folder.path().join("parts/s3").join(Self::BUCKET)
    }

    /// The folder of the broker's keys.
    pub fn keys_folder(&self) -> PathBuf {
        self.folder.path().join("broker/keys")
    }

    /// The folder of the broker's store and keys.
    pub fn broker_state(&self) -> PathBuf {
        self.folder.path().join("broker")
    }

    /// How many sessions the AWS stand-in has given so far, by its log.
    pub async fn aws_sessions(&self) -> usize {
        self.whole_log_of_parts().await.lines().filter(|line| line.contains("role assumed")).count()
    }

    /// How many of them are called `name`.
    pub async fn aws_sessions_called(&self, name: &str) -> usize {
        let log = self.whole_log_of_parts().await;
        let is_called = |line: &str| line.split(['/', '"', ' ']).any(|word| word == name);
        log.lines().filter(|line| line.contains("role assumed") && is_called(line)).count()
    }

    /// What the development parts have logged of all that they have answered.
    async fn whole_log_of_parts(&self) -> String {
        // An answer that comes after all others, so that its line does too.
        let log = || String::from_utf8_lossy(&output_of(self.parts.as_ref())).into_owned();
        let refusals = || log().matches("MissingAction").count();
        let before = refusals();
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        http.post(self.aws_url()).send().await.expect("the stand-in answers");
        while refusals() == before {
            tokio::task::yield_now().await;
        }
        log()
    }

    /// What the signer derives its wallets from.
    pub fn master_secret(&self) -> &[u8; 32] {
        &self.master_secret
    }

    /// All that the broker has logged so far.
    pub fn broker_log(&self) -> String {
        String::from_utf8_lossy(&output_of(self.broker.as_ref())).into_owned()
    }

    /// The processes that see tokens, by what they are.
    pub fn processes(&self) -> [(&'static str, u32); 2] {
        let id = |process: &Option<Process>| process.as_ref().expect("a process that runs").id();
        let signer = self.worker.as_ref().map_or_else(|| id(&self.parts), Worker::id);
        [("broker", id(&self.broker)), ("signer", signer)]
    }

    /// What a client on this machine asks of the signer before a token goes there.
    pub fn signer_trust(&self) -> SignerTrust {
        let Some(worker) = &self.worker else { return SignerTrust::default() };
        let kept = KeptAttestations::of(&Places::new(self.folder.path(), None, None, None), &ProfileName::default());
        let policy =
            AttestationPolicy::load(&worker.machine().policy(), Some(&worker.machine().release_public_key()), kept);
        SignerTrust::Policy(Arc::new(policy.expect("a policy of our own")))
    }

    /// The typed clients of all three.
    pub fn flow(&self) -> Flow {
        let http = Http::default();
        let url = |url: String| -> ServerUrl { url.parse().expect("an address makes a URL") };
        let signer = SignerClient::new(&http, url(self.signer_url()), self.signer_trust());
        Flow {
            broker: BrokerClient::new(&http, url(self.broker_url())),
            signer: signer.expect("a signer that is trusted"),
            sts: StsClient::new(&http),
        }
    }

    /// The role, for the shortest time there is.
    pub fn role(&self) -> Role {
        let endpoint_url = Some(self.aws_url().parse().expect("an address makes a URL"));
        Role { endpoint_url, ..Role::with_arn(Self::ROLE_ARN.parse().expect("a role")) }
    }

    /// The texts of the mails to an address, the newest first.
    pub async fn mails_to(&self, email: &str) -> Vec<String> {
        mails(&self.mailbox_url(), email).await
    }

    /// The code of a mail that is on its way, and was not read before.
    pub async fn mailed_code(&self, email: &str) -> String {
        mailed_code(&self.mailbox_url(), email, &self.codes).await
    }

    /// A command of `agentkeys` that uses these servers.
    #[must_use]
    pub fn used_by(&self, mut agentkeys: Command) -> Command {
        agentkeys.env("AGENTKEYS_BROKER_URL", self.broker_url()).env("AGENTKEYS_SIGNER_URL", self.signer_url());
        if let Some(worker) = &self.worker {
            agentkeys.env("AGENTKEYS_ATTESTATION_POLICY", worker.machine().policy());
            agentkeys.env("AGENTKEYS_RELEASE_KEY", worker.machine().release_key());
        }
        agentkeys
    }

    /// Runs an `agentkeys init` to its end, which gets the code on its stdin if one is mailed.
    pub async fn init(&self, agentkeys: Command, email: &str) -> Output {
        self.init_as_it_is(self.used_by(agentkeys), email).await
    }

    /// As [`System::init`], with a command that knows already which servers it uses.
    pub async fn init_as_it_is(&self, mut command: Command, email: &str) -> Output {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("agentkeys starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        tokio::select! {
            code = self.mailed_code(email) => stdin.write_all(format!("{code}\n").as_bytes()).await.expect("it reads"),
            _ = child.wait() => {}
        }
        drop(stdin);
        child.wait_with_output().await.expect("agentkeys ends")
    }

    /// Signs `name@example.com` in, with the code from the mailbox.
    ///
    /// # Panics
    ///
    /// When the broker refuses.
    pub async fn sign_in(&self, name: &str, binding: Binding) -> Session {
        let email = format!("{name}@example.com");
        let sign_in = EmailSignIn { email: email.parse().expect("an address"), client_name: None, binding };
        let mut mailbox = MailboxReader { pages: self.mailbox_url(), email, codes: self.codes.clone() };
        self.flow().sign_in(&sign_in, &mut mailbox, &mut ()).await.expect("a session")
    }

    /// Walks the eight steps as `name@example.com`, with the code from the mailbox.
    pub async fn walk(&self, name: &str, observer: &mut dyn Observer) -> Result<Walked, ClientError> {
        let email = format!("{name}@example.com");
        let sign_in =
            EmailSignIn { email: email.parse().expect("an address"), client_name: None, binding: Binding::DeviceKey };
        let mut mailbox = MailboxReader { pages: self.mailbox_url(), email, codes: self.codes.clone() };
        self.flow().walk(&sign_in, &mut mailbox, &self.role(), observer).await
    }
}

/// Whether the environment asks for the TEE worker.
#[expect(clippy::disallowed_methods, reason = "tests have no command line of their own")]
fn wants_worker() -> bool {
    std::env::var(SIGNER_VARIABLE).is_ok_and(|signer| signer == "worker")
}

fn output_of(process: Option<&Process>) -> Vec<u8> {
    process.map(Process::output).unwrap_or_default()
}

/// Reads codes from the mailbox's pages.
struct MailboxReader {
    pages: String,
    email: String,
    codes: CodesRead,
}

#[async_trait]
impl CodePrompt for MailboxReader {
    async fn code(&mut self, _: &EmailStarted, _: u32) -> Result<String, ClientError> {
        Ok(mailed_code(&self.pages, &self.email, &self.codes).await)
    }
}

async fn mailed_code(pages: &str, email: &str, codes: &CodesRead) -> String {
    loop {
        if let Some(code) = codes.newest(mails(pages, email).await.iter().map(String::as_str)) {
            return code;
        }
    }
}

async fn mails(pages: &str, email: &str) -> Vec<String> {
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let request = http.get(format!("{pages}/mail")).query(&[("to", email)]);
    let response = request.header("accept", "application/json").send().await.expect("the mailbox answers");
    let mails: Value = response.json().await.expect("mails are JSON");
    let mails = mails.as_array().expect("a list of mails");
    mails.iter().map(|mail| mail["text"].as_str().expect("a text").to_owned()).collect()
}
