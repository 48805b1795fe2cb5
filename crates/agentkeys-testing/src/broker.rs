mod browsing;

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use agentkeys_broker::{Config, Running};
use agentkeys_mock_server::{Mail, Mailbox, SmtpListener};
use agentkeys_types::EmailAddress;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Answer, Device, ManualClock, Person};

/// A real broker on a free port, with a mailbox behind SMTP, and a clock that the test moves.
#[derive(Debug)]
pub struct TestBroker {
    clock: Arc<ManualClock>,
    mailbox: Mailbox,
    smtp: Option<SmtpListener>,
    smtp_address: SocketAddr,
    state: Arc<TempDir>,
    config: Config,
    running: Running,
    http: reqwest::Client,
}

impl TestBroker {
    /// Starts a broker with the settings that nobody set.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a broker with settings of the test's own.
    pub async fn start_with(settings: impl FnOnce(&mut Config)) -> Self {
        Self::start_at(Arc::default(), settings).await
    }

    /// As [`TestBroker::start_with`], with a clock that others have too.
    pub async fn start_at(clock: Arc<ManualClock>, settings: impl FnOnce(&mut Config)) -> Self {
        let mailbox = Mailbox::new(clock.clone());
        let smtp = SmtpListener::start(mailbox.clone(), loopback()).await.expect("the mailbox listens");
        let state = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config {
            listen: loopback(),
            metrics_listen: loopback(),
            state: state.path().to_owned(),
            ..Config::default()
        };
        let smtp_address = smtp.address();
        config.mail.smtp = format!("smtp://{smtp_address}").parse().expect("an address makes a URL");
        settings(&mut config);
        let running = agentkeys_broker::start(config.clone(), clock.clone()).await.expect("the broker starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { clock, mailbox, smtp: Some(smtp), smtp_address, state: Arc::new(state), config, running, http }
    }

    /// Stops the broker and starts it again on the same state and under the same issuer.
    #[must_use]
    pub async fn restart(self) -> Self {
        self.restart_after(async |_| {}).await
    }

    /// As [`TestBroker::restart`], with something that happens to the files of the state in between.
    ///
    /// Waits until the store is closed and all in one file; so no other broker may have it open.
    #[must_use]
    pub async fn restart_with_files(self, act: impl FnOnce(&Path)) -> Self {
        self.restart_after(async |state| {
            while state.join("agentkeys.db-wal").exists() {
                tokio::task::yield_now().await;
            }
            act(state);
        })
        .await
    }

    async fn restart_after(self, act: impl AsyncFnOnce(&Path)) -> Self {
        let issuer = self.running.broker().issuer().clone();
        self.running.stop().await;
        act(self.state.path()).await;
        let config = Config { issuer: Some(issuer), ..self.config };
        let running = agentkeys_broker::start(config.clone(), self.clock.clone()).await.expect("the broker starts");
        Self { config, running, ..self }
    }

    /// Starts a second broker on the same store, under the same issuer.
    pub async fn start_sibling(&self) -> Self {
        let issuer = Some(self.running.broker().issuer().clone());
        let config = Config { issuer, ..self.config.clone() };
        let running = agentkeys_broker::start(config.clone(), self.clock.clone()).await.expect("the broker starts");
        Self {
            clock: self.clock.clone(),
            mailbox: self.mailbox.clone(),
            smtp: None,
            smtp_address: self.smtp_address,
            state: self.state.clone(),
            config,
            running,
            http: self.http.clone(),
        }
    }

    /// The clock of everything here.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The same clock, for servers that are to share it.
    pub fn shared_clock(&self) -> Arc<ManualClock> {
        self.clock.clone()
    }

    /// Where the mail goes.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The broker itself.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The folder of the store and the keys.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// The broker's URL for `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address())
    }

    /// A client without any credentials.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Stops taking mail, as a mail server that is down.
    pub async fn stop_mail(&mut self) {
        if let Some(smtp) = self.smtp.take() {
            smtp.stop().await;
        }
    }

    /// Takes mail again, after [`TestBroker::stop_mail`].
    pub async fn resume_mail(&mut self) {
        let smtp = SmtpListener::start(self.mailbox.clone(), self.smtp_address).await.expect("the mailbox listens");
        self.smtp = Some(smtp);
    }

    /// The next mail with a code to an address that comes after this call, however late the future is polled.
    pub fn next_code_mail(&self, email: &str) -> impl Future<Output = Arc<Mail>> + Send + use<> {
        let address: EmailAddress = email.parse().expect("an address");
        self.mailbox.next_of(&address, |mail| find_code(&mail.text).is_some())
    }

    /// Gets a path without a token.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::read(self.http.get(self.url(path)).send().await.expect("the broker answers")).await
    }

    /// Posts JSON without a token.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::read(self.http.post(self.url(path)).json(body).send().await.expect("the broker answers")).await
    }

    /// Asks for a code for `email`.
    pub async fn start_sign_in(&self, email: &str) -> Answer {
        self.post("/v1/auth/email/start", &json!({"email": email, "client_name": "test bench"})).await
    }

    /// Asks for a code, waits for the mail and returns the request id and the code.
    pub async fn mailed_code(&self, email: &str) -> (String, String) {
        let mail = self.next_code_mail(email);
        let started = self.start_sign_in(email).await.expect(202);
        (started.text("request_id").to_owned(), code_in(&mail.await.text))
    }

    /// Answers with a code.
    pub async fn verify_code(&self, request_id: &str, code: &str) -> Answer {
        self.post("/v1/auth/email/verify", &json!({"request_id": request_id, "code": code})).await
    }

    /// A new device, with the clock of everything here.
    pub fn device(&self) -> Device {
        Device::new(self.clock.clone())
    }

    /// Signs in as `name@example.com` on a new device, with a code from the mailbox.
    pub async fn sign_in(&self, name: &str) -> Person {
        let device = self.device();
        let email = format!("{name}@example.com");
        let mail = self.next_code_mail(&email);
        let body = json!({"email": email, "client_name": "test bench"});
        let start = self.http.post(self.url("/v1/auth/email/start")).json(&body);
        let started = device.send(start, None).await.expect(202);
        let body = json!({"request_id": started.text("request_id"), "code": code_in(&mail.await.text)});
        let verify = self.http.post(self.url("/v1/auth/email/verify")).json(&body);
        let signed_in = device.send(verify, None).await.expect(200);
        Person::new(self.http.clone(), self.url(""), Some(device), &signed_in)
    }

    /// As [`TestBroker::sign_in`], without a device: the token is a plain bearer.
    pub async fn sign_in_unbound(&self, name: &str) -> Person {
        let (request_id, code) = self.mailed_code(&format!("{name}@example.com")).await;
        let signed_in = self.verify_code(&request_id, &code).await.expect(200);
        Person::new(self.http.clone(), self.url(""), None, &signed_in)
    }
}

/// The code in a sign-in mail: the one line that looks like `K7Q4-MF2X`.
///
/// # Panics
///
/// When there is none.
pub fn code_in(text: &str) -> String {
    find_code(text).unwrap_or_else(|| panic!("no code in {text}")).to_owned()
}

/// As [`code_in`], for mails that may have none.
pub fn find_code(text: &str) -> Option<&str> {
    let is_code = |line: &&str| line.len() == 9 && line.as_bytes()[4] == b'-' && !line.contains(' ');
    text.lines().map(str::trim).find(is_code)
}

/// Which codes of a mailbox were read already, so that the next one is known though older mails lie there too.
#[derive(Clone, Debug, Default)]
pub struct CodesRead(Arc<Mutex<HashSet<String>>>);

impl CodesRead {
    /// The newest code in `texts`, which are the newest first, unless it was read before.
    pub fn newest<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Option<String> {
        let newest = texts.into_iter().find_map(find_code)?.to_owned();
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(newest.clone());
        is_new.then_some(newest)
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
