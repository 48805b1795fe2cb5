use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkeys_broker::{
    AuthError, Broker, Caller, Config, Limits, MailError, Mailer, Running, SignInMail, start_with_mailer,
};
use agentkeys_crypto::Presentation;
use agentkeys_store::{PurgeStore, SqliteStore};
use agentkeys_testing::ManualClock;
use agentkeys_types::{Clock, EmailAddress, RequestId, SessionId, SessionToken};
use anyhow::Context;
use async_trait::async_trait;
use futures_util::future::try_join_all;
use tempfile::TempDir;

pub(super) const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Which machine asks.
pub(super) const MACHINE: &str = "machine";
/// Longer than anything of a sign-in is remembered.
const LONG: Duration = Duration::from_hours(25);

/// A broker on a store in memory, without limits, whose mail comes back at once.
pub(super) struct TimingBroker {
    running: Running,
    codes: Arc<Codes>,
    clock: Arc<ManualClock>,
    store: SqliteStore,
    _state: TempDir,
}

impl TimingBroker {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let state = folder_in_memory()?;
        let (clock, codes) = (Arc::new(ManualClock::default()), Arc::new(Codes::default()));
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = Config {
            listen: free,
            metrics_listen: free,
            state: state.path().to_owned(),
            limits: Limits {
                mails_per_address_and_hour: u32::MAX,
                mails_per_source_and_hour: u32::MAX,
                mails_per_hour: u32::MAX,
                codes_per_source_and_hour: u32::MAX,
                mints_per_account_and_minute: u32::MAX,
            },
            ..Config::default()
        };
        let running = start_with_mailer(config, clock.clone(), codes.clone()).await?;
        let store = SqliteStore::open(&state.path().join("agentkeys.db"))?;
        Ok(Self { running, codes, clock, store, _state: state })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub(super) fn broker(&self) -> &Broker {
        self.running.broker()
    }

    /// Whoever presents `token` as a plain bearer.
    pub(super) async fn authenticate(&self, token: &str) -> Result<Caller, AuthError> {
        let presented = Presentation {
            unverified_token: token,
            is_bound: false,
            unverified_proof: None,
            method: "GET",
            url: "http://127.0.0.1/v1/session",
        };
        self.broker().authenticate(&presented, SOURCE).await
    }

    /// The addresses of `count` people, all of the same length.
    pub(super) fn people(count: usize) -> anyhow::Result<Vec<EmailAddress>> {
        let address = |number| format!("person{number:04}@example.com").parse::<EmailAddress>();
        Ok((0..count).map(address).collect::<Result<_, _>>()?)
    }

    /// Begins a sign-in for each, and returns what the terminal and the mail say.
    pub(super) async fn begin(&self, people: &[EmailAddress]) -> anyhow::Result<Vec<(RequestId, String)>> {
        let begin = |email: &EmailAddress| {
            self.broker().start_email_sign_in(email.clone(), Some(MACHINE.to_owned()), None, SOURCE)
        };
        let requests = try_join_all(people.iter().map(begin)).await?;
        let code = |email| self.codes.of(email).context("the code came by mail");
        requests.into_iter().zip(people).map(|(request, email)| Ok((request, code(email)?))).collect()
    }

    /// Signs each of them in.
    pub(super) async fn sign_in(&self, people: &[EmailAddress]) -> anyhow::Result<Vec<(SessionToken, SessionId)>> {
        let mut sessions = Vec::new();
        for (request, code) in self.begin(people).await? {
            let opened = self.broker().verify_email_sign_in(&request, &code, None, SOURCE).await?;
            sessions.push((opened.token, opened.id));
        }
        Ok(sessions)
    }

    /// Lets all sign-ins so far be over and forgotten, so that the store does not grow.
    pub(super) async fn forget_sign_ins(&self) -> anyhow::Result<()> {
        self.clock.advance(LONG);
        self.store.purge(self.clock.now()).await?;
        Ok(())
    }
}

/// Where a sync costs nothing, so that the disk does not drown what is looked for.
fn folder_in_memory() -> anyhow::Result<TempDir> {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    Ok(TempDir::new_in(AsRef::<Path>::as_ref(&parent))?)
}

/// Keeps the last code that was mailed to each address.
#[derive(Debug, Default)]
struct Codes(Mutex<HashMap<EmailAddress, String>>);

impl Codes {
    fn of(&self, email: &EmailAddress) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(email).cloned()
    }
}

#[async_trait]
impl Mailer for Codes {
    async fn send(&self, mail: SignInMail) -> Result<(), MailError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(mail.to, mail.code.as_str().to_owned());
        Ok(())
    }

    async fn check(&self) -> Result<(), MailError> {
        Ok(())
    }
}
