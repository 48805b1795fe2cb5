//! The token that a daemon holds.

use std::{fs, time::Duration};

use agentkeys_client::{
    AskedStorage, DaemonClient, Places, ProfileName, Session, SessionStorage, StoreChoice, StoreKey, TerminalPrompt,
};
use agentkeys_testing::{Home, Process, System};

use super::{assert_clean, needles::Needles, plant::plant_and_find, say, sts, wait_until_clean};

const MINTS: usize = 1000;
/// For how long a daemon may hold what it sent last: an idle connection is closed after one second to two.
const KEPT: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs gdb and root: cargo xtask test"]
async fn a_daemon_holds_its_token_where_nobody_can_read_it() {
    let system = System::start_with("[limits]\nmints_per_account_and_minute = 100000\n").await;
    let session = system.walk("ada", &mut ()).await.unwrap().session;
    let needles = Needles::of_tokens(&[("session token", session.token.expose())]);
    let (home, agent, daemon) = start_daemon(&system, &session).await;

    for _ in 0..MINTS {
        agent.credentials(&ProfileName::default()).await.unwrap();
    }

    wait_until_clean("daemon, after its last mint", daemon.id(), &needles, KEPT).await;
    assert_clean("daemon", daemon.id(), &needles);
    plant_and_find(daemon.id(), &needles);
    say("daemon: what was planted on heap, stack and in a register was found");
    drop(home);
}

/// The real daemon with this session, from an encrypted file whose key systemd gives.
async fn start_daemon(system: &System, session: &Session) -> (Home, DaemonClient, Process) {
    let home = Home::default();
    let below = |name: &str| home.path().join(name);
    for folder in ["home", "config/agentkeys", "state", "run", "credentials"] {
        fs::create_dir_all(below(folder)).unwrap();
    }
    let settings = format!(
        "broker_url = \"{}\"\nsigner_url = \"{}\"\n[aws]\nrole_arn = \"{}\"\nendpoint_url = \"http://{}\"\n",
        system.broker_url(),
        system.signer_url(),
        System::ROLE_ARN,
        sts::start().await
    );
    fs::write(below("config/agentkeys/config.toml"), settings).unwrap();
    fs::write(below("credentials/agentkeys-session-key"), [7; 32]).unwrap();
    let places = Places::new(&below("home"), Some(below("config")), Some(below("state")), Some(below("run")));
    let places = places.with_credentials(below("credentials"));
    let asked = AskedStorage { choice: Some(StoreChoice::File), key: Some(StoreKey::Systemd) };
    let profile = ProfileName::default();
    let storage = SessionStorage::decide(asked, &places, &profile).unwrap();
    let prompt = TerminalPrompt { may_ask: false };
    storage.open(std::sync::Arc::new(prompt)).save(&profile, session).await.unwrap();

    let mut command = home.command("agentkeys-daemon");
    command.env("CREDENTIALS_DIRECTORY", below("credentials"));
    command.args(["--store", "file", "--store-key", "systemd"]).arg("--socket").arg(below("run/agent.sock"));
    let mut daemon = Process::start(command);
    daemon.line_with("credentials are served").await;
    let agent = DaemonClient::new(below("run/agent.sock"));
    (home, agent, daemon)
}
