//! The session that a daemon holds.

use std::{fmt::Write, fs, time::Duration};

use agentkeys_client::{
    AskedStorage, DaemonClient, Dispenser, Places, ProfileName, Session, SessionStorage, StoreChoice, StoreKey,
    TerminalPrompt,
};
use agentkeys_testing::{Home, Process, System};
use tokio::process::Command;

use super::{
    assert_clean, forms, forms_of_session, needles::Needles, plant::plant_and_find, say, sts::Sts, wait_until_clean,
};

pub(super) const MINTS: usize = 1000;
/// For how long a daemon may hold what it sent last: an idle connection is closed after one second to two.
pub(super) const KEPT: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs gdb and root: cargo xtask test"]
async fn a_daemon_holds_its_session_where_nobody_can_read_it() {
    let system = System::start_with("[limits]\nmints_per_account_and_minute = 100000\n").await;
    let session = system.walk("ada", &mut ()).await.unwrap().session;
    let sts = Sts::start().await;
    let home = home_with(&session, &system, &sts).await;
    let mut command = home.command("agentkeys-daemon");
    serve_at_home(&home, &mut command);
    let mut daemon = Process::start(command);
    daemon.line_with("credentials are served").await;
    let agent = DaemonClient::new(home.path().join("run/agent.sock"), ProfileName::default());

    mint_for_each_role(&agent, MINTS).await;

    let mut secrets = forms_of_session(&session);
    secrets.extend(forms::of_token("last web identity", &sts.last_web_identity()));
    let needles = Needles::new(secrets);
    wait_until_clean("daemon, after its last mint", daemon.id(), &needles, KEPT).await;
    assert_clean("daemon", daemon.id(), &needles);
    plant_and_find(daemon.id(), &needles);
    say("daemon: what was planted on heap, stack and in a register was found");
}

/// Asks for as many roles as that, each of which the daemon has to mint a JWT for.
pub(super) async fn mint_for_each_role(agent: &DaemonClient, roles: usize) {
    for number in 0..roles {
        agent.credentials(&format!("r{number}").parse().unwrap(), None).await.unwrap();
    }
}

/// A home with this session, in an encrypted file whose key systemd gives.
pub(super) async fn home_with(session: &Session, system: &System, sts: &Sts) -> Home {
    let home = Home::default();
    let below = |name: &str| home.path().join(name);
    for folder in ["home", "state", "run", "credentials"] {
        fs::create_dir_all(below(folder)).unwrap();
    }
    write_settings(&home, system, sts);
    fs::write(below("credentials/agentkeys-session-key"), [7; 32]).unwrap();
    let places = Places::new(&below("home"), Some(below("config")), Some(below("state")), Some(below("run")));
    let places = places.with_credentials(below("credentials"));
    let asked = AskedStorage { choice: Some(StoreChoice::File), key: Some(StoreKey::Systemd) };
    let profile = ProfileName::default();
    let storage = SessionStorage::decide(asked, &places, &profile).unwrap();
    let prompt = TerminalPrompt { may_ask: false };
    storage.open(std::sync::Arc::new(prompt)).save(&profile, session).await.unwrap();
    home
}

/// Makes whoever is at home here use these servers.
pub(super) fn write_settings(home: &Home, system: &System, sts: &Sts) {
    let mut settings = format!(
        "broker_url = \"{}\"\nsigner_url = \"{}\"\n[aws]\nrole_arn = \"{}\"\nendpoint_url = \"http://{}\"\n",
        system.broker_url(),
        system.signer_url(),
        System::ROLE_ARN,
        sts.address
    );
    for number in 0..MINTS {
        let _ = write!(settings, "[aws.roles.r{number}]\nrole_arn = \"{}\"\n", System::ROLE_ARN);
    }
    let folder = home.path().join("config/agentkeys");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), settings).unwrap();
}

/// Makes a daemon serve the session of this home.
pub(super) fn serve_at_home(home: &Home, daemon: &mut Command) {
    daemon.env("CREDENTIALS_DIRECTORY", home.path().join("credentials"));
    daemon.args(["--store", "file", "--store-key", "systemd"]).arg("--socket").arg(home.path().join("run/agent.sock"));
}
