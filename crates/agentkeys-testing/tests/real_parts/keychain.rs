//! gnome-keyring over D-Bus: the Secret Service of a desktop, without the desktop.

pub(crate) mod desktop;

use std::{
    process::Output,
    time::{Duration, Instant},
};

use agentkeys_testing::{Home, System};
use serde_json::Value;
use tokio::net::UnixListener;

use self::desktop::Desktop;

const ADA: &str = "ada@example.com";
const GRACE: &str = "grace@example.com";
/// Two seconds for the keychain, and the rest of the command.
const AT_ONCE: Duration = Duration::from_secs(3);
const INIT: [&str; 5] = ["--no-input", "--json", "init", "--email", ADA];

#[tokio::test]
#[ignore = "needs gnome-keyring: cargo xtask test"]
async fn a_session_outlives_its_process_and_is_gone_after_signing_out() {
    let (desktop, system) = (Desktop::unlocked().await, System::start().await);
    let run = async |arguments: &[&str]| system.used_by(desktop.agentkeys(arguments)).output().await.unwrap();

    let signed_in = document(&system.init(desktop.agentkeys(&INIT), ADA).await);
    let whoami = document(&run(&["whoami", "--json"]).await);
    let signed_out = document(&run(&["logout", "--json"]).await);
    let after = run(&["whoami", "--json"]).await;

    assert_eq!(signed_in["signed_in"], true);
    assert_eq!(whoami["account"], signed_in["account"], "{whoami}");
    assert_eq!(signed_out["signed_out"], true);
    assert_eq!(complaint(&after), (3, "not_signed_in".to_owned()));
}

#[tokio::test]
#[ignore = "needs gnome-keyring: cargo xtask test"]
async fn a_session_survives_a_restart_of_the_keyring() {
    let (mut desktop, system) = (Desktop::unlocked().await, System::start().await);
    let signed_in = document(&system.init(desktop.agentkeys(&INIT), ADA).await);

    desktop.lock().await;
    let locked = system.used_by(desktop.agentkeys(&["whoami", "--json"])).output().await.unwrap();
    desktop.unlock().await;
    let whoami = document(&system.used_by(desktop.agentkeys(&["whoami", "--json"])).output().await.unwrap());

    assert_eq!(complaint(&locked), (8, "keychain_locked".to_owned()));
    assert_eq!(whoami["account"], signed_in["account"]);
}

#[tokio::test]
#[ignore = "needs gnome-keyring: cargo xtask test"]
async fn a_sign_in_to_another_store_empties_the_keychain_and_ends_its_session() {
    let (desktop, system) = (Desktop::unlocked().await, System::start().await);
    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("agentkeys-session-key"), [7; 32]).unwrap();
    let with_key = |arguments: &[&str]| {
        let mut command = system.used_by(desktop.agentkeys(arguments));
        command.env("CREDENTIALS_DIRECTORY", credentials.path());
        command
    };
    document(&system.init(desktop.agentkeys(&INIT), ADA).await);

    let init = with_key(&["--store", "file", "--no-input", "--json", "init", "--email", GRACE]);
    document(&system.init(init, GRACE).await);

    let in_keychain = with_key(&["--store", "keychain", "--json", "whoami"]).output().await.unwrap();
    let in_file = document(&with_key(&["--json", "whoami"]).output().await.unwrap());
    let ada = system.walk("ada", &mut ()).await.unwrap();
    let standing = system.flow().broker.sessions(&ada.session).await.unwrap();
    assert_eq!(complaint(&in_keychain), (3, "not_signed_in".to_owned()));
    assert_eq!(in_file["identities"][0]["value"], GRACE, "{in_file}");
    assert_eq!(standing.sessions.len(), 1, "the session of the keychain still stands");
}

#[tokio::test]
#[ignore = "needs gnome-keyring: cargo xtask test"]
async fn a_locked_keyring_stops_a_sign_in_at_once_and_before_any_mail() {
    let (mut desktop, system) = (Desktop::unlocked().await, System::start().await);
    desktop.lock().await;

    let begun = Instant::now();
    let ended = system.init(desktop.agentkeys(&INIT), ADA).await;

    assert_eq!(complaint(&ended), (8, "keychain_locked".to_owned()));
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(system.mails_to(ADA).await.is_empty());
}

#[tokio::test]
#[ignore = "needs gnome-keyring: cargo xtask test"]
async fn a_bus_without_a_keyring_stops_a_sign_in_at_once_and_before_any_mail() {
    let (desktop, system) = (Desktop::without_a_keyring().await, System::start().await);

    let begun = Instant::now();
    let ended = system.init(desktop.agentkeys(&INIT), ADA).await;

    assert_eq!(complaint(&ended), (8, "keychain_unavailable".to_owned()));
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(system.mails_to(ADA).await.is_empty());
}

#[tokio::test]
async fn a_bus_on_which_nobody_answers_stops_a_sign_in_at_once_and_before_any_mail() {
    let (home, system) = (Home::default(), System::start().await);
    let socket = home.path().join("silent");
    let listener = UnixListener::bind(&socket).unwrap();
    let silent = tokio::spawn(async move {
        let mut callers = Vec::new();
        while let Ok((caller, _)) = listener.accept().await {
            callers.push(caller);
        }
    });
    let mut init = home.agentkeys(&INIT);
    init.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", socket.display()));

    let begun = Instant::now();
    let ended = system.init(init, ADA).await;

    assert_eq!(complaint(&ended), (8, "store_timed_out".to_owned()));
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(system.mails_to(ADA).await.is_empty());
    silent.abort();
}

#[tokio::test]
async fn no_bus_at_all_stops_a_sign_in_at_once_and_before_any_mail() {
    let (home, system) = (Home::default(), System::start().await);

    let begun = Instant::now();
    let ended = system.init(home.agentkeys(&INIT), ADA).await;

    assert_eq!(complaint(&ended), (8, "keychain_unavailable".to_owned()));
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(system.mails_to(ADA).await.is_empty());
}

/// What a command printed that did what was asked.
fn document(ended: &Output) -> Value {
    assert!(ended.status.success(), "{}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// How a command ended that did not, and the failure in one word; the ways out are always named.
fn complaint(ended: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&ended.stderr);
    let error: Value = serde_json::from_str(text.lines().last().unwrap_or_default()).expect(&text);
    assert!(!error["error"]["hint"].as_str().unwrap().is_empty());
    (ended.status.code().unwrap(), error["error"]["code"].as_str().unwrap().to_owned())
}
