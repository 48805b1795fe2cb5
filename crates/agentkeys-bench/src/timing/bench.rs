use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agentkeys_broker::{
    AuthError, Broker, Caller, Config, Limits, Mail, MailError, Mailer, RenderedMail, Running, SessionCaller,
    start_with_mailer,
};
use agentkeys_crypto::Presentation;
use agentkeys_store::{PurgeStore, SqliteStore};
use agentkeys_testing::{ManualClock, find_code};
use agentkeys_types::{Clock, EmailAddress, RequestId, SessionId, SessionToken};
use anyhow::{Context, bail};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::system::folder_in_memory;

pub(super) const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Which machine asks.
pub(super) const MACHINE: &str = "machine";
/// A mail that takes longer is not coming.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
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
                codes_per_hour: u32::MAX,
                sign_ins_per_source_and_hour: u32::MAX,
                sign_ins_per_hour: u32::MAX,
                links_per_account_and_hour: u32::MAX,
                agents_per_account: u32::MAX,
                mints_per_account_and_minute: u32::MAX,
            },
            mail: Mail { queue: u32::MAX, ..Mail::default() },
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

    /// Whoever has the session of this token.
    pub(super) async fn caller(&self, token: &SessionToken) -> anyhow::Result<SessionCaller> {
        match self.authenticate(token.expose()).await? {
            Caller::Session(caller) => Ok(caller),
            Caller::Wallet(_) => bail!("a session token opens a session"),
        }
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
        let mut answers = Vec::new();
        for (request, email) in requests.into_iter().zip(people) {
            let code = tokio::time::timeout(LONGEST_WAIT, self.codes.next_of(email)).await;
            answers.push((request, code.context("the code came by mail")?));
        }
        Ok(answers)
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

/// Keeps the last code that was mailed to each address, until it is read.
#[derive(Debug, Default)]
struct Codes {
    kept: Mutex<HashMap<EmailAddress, String>>,
    came: Notify,
}

impl Codes {
    async fn next_of(&self, email: &EmailAddress) -> String {
        loop {
            let came = self.came.notified();
            if let Some(code) = self.kept().remove(email) {
                return code;
            }
            came.await;
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<EmailAddress, String>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Mailer for Codes {
    async fn send(&self, mail: &RenderedMail) -> Result<(), MailError> {
        // Notices come too.
        if let Some(code) = find_code(&mail.text) {
            self.kept().insert(mail.to.clone(), code.to_owned());
            self.came.notify_waiters();
        }
        Ok(())
    }

    async fn check(&self) -> Result<(), MailError> {
        Ok(())
    }
}
