use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use agentkeys_api::{AgentGrant, Audience, Audiences};
use agentkeys_client::{
    Agent, AgentBook, AskedStorage, DaemonClient, Places, ProfileName, Session, SessionStorage, StoreChoice, StoreKey,
    TerminalPrompt,
};
use agentkeys_testing::{Home, Process, System};
use agentkeys_types::{Clock, RoleName, SystemClock};
use tokio::process::Command;

/// A machine at which a person has signed in, and where agents have names.
pub(crate) struct Machine {
    home: Home,
    places: Places,
}

impl Machine {
    /// With this session, and settings for its folder besides where the servers are.
    pub(crate) async fn with(session: &Session, system: &System, settings: impl FnOnce(&Path) -> String) -> Self {
        let home = Home::default();
        let below = |name: &str| home.path().join(name);
        for folder in ["home", "config/agentkeys", "state", "run", "credentials"] {
            fs::create_dir_all(below(folder)).unwrap();
        }
        fs::write(below("credentials/agentkeys-session-key"), [7; 32]).unwrap();
        let (broker, signer) = (system.broker_url(), system.signer_url());
        let servers = format!("broker_url = \"{broker}\"\nsigner_url = \"{signer}\"\n");
        fs::write(below("config/agentkeys/config.toml"), [servers, settings(home.path())].concat()).unwrap();
        let places = Places::new(&below("home"), Some(below("config")), Some(below("state")), Some(below("run")));
        let places = places.with_credentials(below("credentials"));
        let asked = AskedStorage { choice: Some(StoreChoice::File), key: Some(StoreKey::Systemd) };
        let profile = ProfileName::default();
        let storage = SessionStorage::decide(asked, &places, &profile).unwrap();
        let store = storage.open(Arc::new(TerminalPrompt { may_ask: false }));
        store.save(&profile, session).await.unwrap();
        Self { home, places }
    }

    /// Lets an agent have roles and audiences, here and at the broker.
    pub(crate) async fn name_agent(
        &self,
        name: &str,
        roles: &[&str],
        audiences: &[&str],
        system: &System,
        session: &Session,
    ) {
        let audiences: BTreeSet<Audience> = audiences.iter().map(|audience| audience.parse().unwrap()).collect();
        let roles: BTreeSet<RoleName> = roles.iter().map(|role| role.parse().unwrap()).collect();
        let name = name.parse().unwrap();
        let grant = AgentGrant { audiences: Some(Audiences(audiences.clone())), expires_at: None };
        system.flow().broker.put_agent(session, &name, &grant).await.unwrap();
        let created_at = SystemClock.now();
        let agent = Agent { roles, audiences, created_at, expires_at: None, token_file: None };
        let book = AgentBook::of(&self.places, &ProfileName::default());
        book.change(|pages| pages.agents.insert(name, agent)).unwrap();
    }

    /// Starts its daemon, with an endpoint.
    pub(crate) async fn start_daemon(&self) -> Process {
        let mut command = self.command("agentkeys-daemon");
        command.args(["--store", "file", "--store-key", "systemd", "--listen", "127.0.0.1:0"]);
        let mut daemon = Process::start(command);
        daemon.line_with("credentials are served").await;
        daemon
    }

    pub(crate) fn daemon_client(&self) -> DaemonClient {
        let profile = ProfileName::default();
        DaemonClient::new(self.places.socket(&profile), profile)
    }

    pub(crate) fn agentkeys(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("agentkeys");
        command.args(arguments);
        command
    }

    fn command(&self, binary: &str) -> Command {
        let mut command = self.home.command(binary);
        command.env("CREDENTIALS_DIRECTORY", self.home.path().join("credentials"));
        command
    }

    /// What makes `agentkeys` at home here, when a program of somebody else's starts it.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        // A client of AWS has a home of its own.
        self.home.environment().into_iter().filter(|(name, _)| *name != "HOME")
    }

    /// Returns when there is such a file.
    pub(crate) async fn wait_for(&self, file: &Path) {
        while !file.exists() {
            tokio::task::yield_now().await;
        }
    }

    /// Something beside the daemon's socket.
    pub(crate) fn beside_socket(&self, name: &str) -> PathBuf {
        self.places.socket(&ProfileName::default()).with_file_name(name)
    }

    /// The record of what was handed out.
    pub(crate) fn hand_outs(&self) -> PathBuf {
        self.places.hand_outs(&ProfileName::default())
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }
}
