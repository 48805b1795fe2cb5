use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use agentkeys_client::{
    AskedStorage, Binding, BrokerClient, DaemonClient, EmailSignIn, Http, Places, ProfileName, SessionStorage,
    StoreChoice, StoreKey, TerminalPrompt, request_session_token,
};
use tempfile::TempDir;

use super::address::Address;
use crate::{
    process::{Process, free_address},
    system::System,
    walk::Mailbox,
};

const ROLE: &str = "arn:aws:iam::000000000000:role/agentkeys-dev";
/// What systemd would call the key of the session file.
const SESSION_KEY: &str = "agentkeys-session-key";
/// How often a daemon that starts is asked whether it answers.
const PAUSE: Duration = Duration::from_micros(500);

/// What a daemon has to keep.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    /// The default role's credentials, which it fetches when it starts.
    AtOnce,
    /// Those of another role, for which nobody has asked.
    Nothing,
}

/// A home of somebody who is signed in, with settings.
#[derive(Debug)]
pub(super) struct Home {
    folder: TempDir,
    bin: PathBuf,
    /// Where the endpoint listens.
    listen: SocketAddr,
}

/// A daemon that has just answered for the first time.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) after: Duration,
}

impl Home {
    /// Signs somebody new in and writes their settings.
    pub(super) async fn new(system: &System, wish: Wish) -> anyhow::Result<Self> {
        let listen = free_address()?;
        let home = Self { folder: tempfile::tempdir()?, bin: system.bin().to_owned(), listen };
        let role = match wish {
            Wish::AtOnce => format!("[aws]\nrole_arn = \"{ROLE}\""),
            Wish::Nothing => format!("[aws.roles.spare]\nrole_arn = \"{ROLE}\"\n[aws]"),
        };
        let settings = format!(
            "broker_url = \"http://{}\"\nsigner_url = \"http://{}\"\n{role}\nendpoint_url = \"http://{}\"\n\
             [daemon]\nlisten = \"{listen}\"\n",
            system.broker.address, system.development.address, system.aws,
        );
        let file = home.places().config_file();
        fs::create_dir_all(file.with_file_name(""))?;
        fs::write(file, settings)?;
        home.sign_in(system).await?;
        Ok(home)
    }

    /// Keeps a session as sign-in does for a daemon that systemd starts.
    async fn sign_in(&self, system: &System) -> anyhow::Result<()> {
        fs::write(self.folder.path().join(SESSION_KEY), [7; 32])?;
        let address = format!("daemon{}@example.com", self.listen.port());
        let sign_in = EmailSignIn { email: address.parse()?, client_name: None, binding: Binding::DeviceKey };
        let broker = BrokerClient::new(&Http::default(), format!("http://{}", system.broker.address).parse()?);
        let session = request_session_token(&broker, &sign_in, &mut Mailbox { system, address }).await?;
        let asked = AskedStorage { choice: Some(StoreChoice::File), key: Some(StoreKey::Systemd) };
        let storage = SessionStorage::decide(asked, &self.places(), &ProfileName::default())?;
        let store = storage.open(Arc::new(TerminalPrompt { may_ask: false }));
        store.save(&ProfileName::default(), &session).await?;
        Ok(storage.remember()?)
    }

    /// Starts the daemon, and returns as soon as it answers on its socket.
    pub(super) async fn start(&self) -> anyhow::Result<Started> {
        let (client, mut command) = (self.client(), self.command("agentkeys-daemon"));
        let log = self.folder.path().join("log");
        let started = Instant::now();
        let process = Process::spawn(&mut command, self.listen, &log)?;
        while client.status().await.is_err() {
            anyhow::ensure!(started.elapsed() < Duration::from_secs(5), "{}", fs::read_to_string(log)?);
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Started { process, after: started.elapsed() })
    }

    /// One of our binaries, at home here.
    pub(super) fn command(&self, binary: &str) -> Command {
        let mut command = Command::new(self.bin.join(binary));
        let below = |name: &str| self.folder.path().join(name);
        command.env_clear().env("HOME", below("home")).env("XDG_CONFIG_HOME", below("config"));
        command.env("XDG_STATE_HOME", below("state")).env("XDG_RUNTIME_DIR", below("run"));
        command.env("CREDENTIALS_DIRECTORY", self.folder.path());
        command
    }

    fn places(&self) -> Places {
        let below = |name: &str| Some(self.folder.path().join(name));
        let places = Places::new(&self.folder.path().join("home"), below("config"), below("state"), below("run"));
        places.with_credentials(self.folder.path().to_owned())
    }

    /// What agents ask by.
    pub(super) fn client(&self) -> DaemonClient {
        DaemonClient::new(self.places().socket(&ProfileName::default()), ProfileName::default())
    }

    pub(super) fn socket(&self) -> Address {
        Address::Unix(self.places().socket(&ProfileName::default()))
    }

    pub(super) fn endpoint(&self) -> Address {
        Address::Tcp(self.listen)
    }

    /// What the endpoint wants to see.
    pub(super) fn endpoint_token(&self) -> anyhow::Result<String> {
        let file = self.places().socket(&ProfileName::default()).with_file_name("authorization-token");
        Ok(fs::read_to_string(file)?)
    }
}
