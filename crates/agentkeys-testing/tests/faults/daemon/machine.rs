use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agentkeys_api::{Audience, DaemonCredentials, ErrorCode, Problem};
use agentkeys_client::{
    Agent, AgentBook, AgentFolder, AskedStorage, ClientError, DaemonClient, Dispenser, Places, ProfileName, Session,
    SessionStorage, StoreChoice, StoreKey, TerminalPrompt,
};
use agentkeys_daemon::{HandOut, read_last};
use agentkeys_testing::{Home, Process, System};
use agentkeys_types::{AgentName, RoleName, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

/// How long something may take that does not wait for a life to end.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// A person's machine, on which a daemon runs.
pub(super) struct Machine {
    pub(super) home: Home,
    servers: String,
    aws: String,
}

impl Machine {
    /// One whose daemon uses these servers, and credentials that live for `life` seconds; nobody is signed in.
    pub(super) fn of(system: &System, aws_url: &str, life: u32) -> Self {
        let home = Home::default();
        for folder in ["home", "state", "run", "credentials"] {
            fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        fs::write(home.path().join("credentials/agentkeys-session-key"), [7; 32]).unwrap();
        let servers = format!("broker_url = \"{}\"\nsigner_url = \"{}\"\n", system.broker_url(), system.signer_url());
        let role = System::ROLE_ARN;
        let aws = format!("[aws]\nrole_arn = \"{role}\"\nendpoint_url = \"{aws_url}\"\nduration_seconds = {life}\n");
        let machine = Self { home, servers, aws };
        machine.set("");
        machine
    }

    /// As [`Machine::of`], and `ada` is signed in.
    pub(super) async fn signed_in(system: &System, aws_url: &str, life: u32) -> (Self, Session) {
        let machine = Self::of(system, aws_url, life);
        let session = system.walk("ada", &mut ()).await.unwrap().session;
        machine.keep(&session).await;
        (machine, session)
    }

    /// Sets what a person would, beside the servers and the role.
    pub(super) fn set(&self, more: &str) {
        self.write_settings(&format!("{}{}{more}", self.servers, self.aws));
    }

    pub(super) fn write_settings(&self, settings: &str) {
        let folder = self.home.path().join("config/agentkeys");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), settings).unwrap();
    }

    /// Keeps a session where the daemon looks for it.
    pub(super) async fn keep(&self, session: &Session) {
        let asked = AskedStorage { choice: Some(StoreChoice::File), key: Some(StoreKey::Systemd) };
        let profile = ProfileName::default();
        let storage = SessionStorage::decide(asked, &self.places(), &profile).unwrap();
        let store = storage.open(Arc::new(TerminalPrompt { may_ask: false }));
        store.save(&profile, session).await.unwrap();
    }

    pub(super) fn places(&self) -> Places {
        let below = |name: &str| self.home.path().join(name);
        let places = Places::new(&below("home"), Some(below("config")), Some(below("state")), Some(below("run")));
        places.with_credentials(below("credentials"))
    }

    /// Gives an agent the default role and JWTs for AWS, and a token file if asked.
    pub(super) fn give_agent(&self, name: &str, token_file: bool) {
        let agent = Agent {
            roles: BTreeSet::from([RoleName::default()]),
            audiences: BTreeSet::from([Audience::aws_sts()]),
            created_at: Timestamp::from_unix(0),
            expires_at: None,
            token_file: token_file.then(Audience::aws_sts),
        };
        self.book().change(|pages| pages.agents.insert(name.parse().unwrap(), agent)).unwrap();
    }

    pub(super) fn take_agent(&self, name: &str) {
        self.book().change(|pages| pages.agents.remove(&name.parse::<AgentName>().unwrap())).unwrap();
    }

    fn book(&self) -> AgentBook {
        AgentBook::of(&self.places(), &ProfileName::default())
    }

    pub(super) fn daemon(&self) -> Command {
        let mut command = self.home.command("agentkeys-daemon");
        command.env("CREDENTIALS_DIRECTORY", self.home.path().join("credentials"));
        command.args(["--store", "file", "--store-key", "systemd"]);
        command
    }

    /// A daemon that answers.
    pub(super) async fn start(&self) -> Process {
        let mut daemon = Process::start(self.daemon());
        daemon.line_with("credentials are served").await;
        daemon
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.home.path().join("run/agentkeys/agent.sock")
    }

    pub(super) fn folder_of(&self, agent: &str) -> AgentFolder {
        AgentFolder::beside(&self.socket(), &agent.parse().unwrap())
    }

    /// Asks as the person.
    pub(super) fn client(&self) -> DaemonClient {
        DaemonClient::new(self.socket(), ProfileName::default())
    }

    /// Asks on an agent's own socket.
    pub(super) fn client_of(&self, agent: &str) -> DaemonClient {
        DaemonClient::of_agent(self.folder_of(agent).socket())
    }

    /// What the record says of the last hand-outs.
    pub(super) fn hand_outs(&self) -> Vec<HandOut> {
        read_last(&self.hand_out_log(), 10_000).unwrap()
    }

    pub(super) fn hand_out_log(&self) -> PathBuf {
        self.places().hand_outs(&ProfileName::default())
    }

    /// Everything in the folder of sockets.
    pub(super) fn left_behind(&self) -> Vec<PathBuf> {
        let folder = self.home.path().join("run/agentkeys");
        files(&folder)
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { [files(&path), vec![path]].concat() } else { vec![path] }).collect()
}

pub(super) async fn ask(client: &DaemonClient) -> Result<DaemonCredentials, ClientError> {
    client.credentials(&RoleName::default(), None).await
}

/// An agent that asks again and again until `is_enough`; all that it was told.
pub(super) async fn poll(
    client: &DaemonClient,
    patience: Duration,
    is_enough: impl Fn(&Result<DaemonCredentials, ClientError>) -> bool,
) -> Vec<Result<DaemonCredentials, ClientError>> {
    let mut answers = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let polling = async {
        loop {
            pace.tick().await;
            answers.push(ask(client).await);
            if answers.last().is_some_and(&is_enough) {
                return;
            }
        }
    };
    let polled = tokio::time::timeout(patience, polling).await;
    assert!(polled.is_ok(), "not in {patience:?}; last: {:?}", answers.last());
    answers
}

/// What the daemon answered instead of credentials.
pub(super) fn problem<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Problem {
    match answer {
        Err(ClientError::Problem { problem, .. }) => problem,
        other => panic!("no problem: {other:?}"),
    }
}

pub(super) fn code<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> ErrorCode {
    problem(answer).error
}

pub(super) fn signal(process: u32, signal: Signal) {
    kill_process(Pid::from_raw(process.cast_signed()).unwrap(), signal).unwrap();
}
