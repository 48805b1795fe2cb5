//! Where a session is kept: one sign-in, and what later processes find of it.

use std::{fs, process::Stdio, time::Duration};

use agentkeys_api::DaemonState;
use agentkeys_testing::{Process, System};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::{
    machine::{Machine, document},
    terminal::Terminal,
};

const ADA: &str = "ada@example.com";

#[tokio::test]
async fn a_file_with_a_systemd_credential_serves_every_later_process() {
    let (machine, system) = (Machine::with_credential(), System::start().await);
    let run = async |arguments: &[&str]| system.used_by(machine.agentkeys(arguments)).output().await.unwrap();

    let init = machine.agentkeys(&["--no-input", "--json", "--store", "file", "init", "--email", ADA]);
    let signed_in = document(&system.init(init, ADA).await);
    let whoami = document(&run(&["whoami", "--json"]).await);
    let file = fs::read(machine.sessions().join("default.age")).unwrap();
    let signed_out = document(&run(&["logout", "--json"]).await);

    assert_eq!(whoami["account"], signed_in["account"]);
    assert!(file.starts_with(b"age-encryption.org/v1\n"));
    assert!(!file.windows(4).any(|window| window == b"aks_"));
    assert_eq!(signed_out["signed_out"], true);
    assert_eq!(fs::read_dir(machine.sessions()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_daemon_opens_the_store_that_sign_in_chose() {
    let (machine, system) = (Machine::with_credential(), System::start().await);
    machine.set_role(&system);
    let init = machine.agentkeys(&["--no-input", "--json", "--store", "file", "init", "--email", ADA]);
    document(&system.init(init, ADA).await);

    let mut daemon = Process::start(system.used_by(machine.command("agentkeys-daemon")));

    daemon.line_with("credentials are served").await;
}

#[tokio::test]
async fn a_daemon_that_waits_for_a_sign_in_goes_on_as_soon_as_there_is_one() {
    const INIT: [&str; 7] = ["--no-input", "--json", "--store", "file", "init", "--email", ADA];
    let (machine, system) = (Machine::with_credential(), System::start().await);
    machine.set_role(&system);
    document(&system.init(machine.agentkeys(&INIT), ADA).await);
    let mut daemon = Process::start(system.used_by(machine.command("agentkeys-daemon")));
    daemon.line_with("credentials are served").await;
    machine.credentials().await;

    let signed_out = system.used_by(machine.agentkeys(&["logout", "--json"])).output().await.unwrap();
    machine.daemon_is(DaemonState::SignInNeeded).await;
    document(&system.init(machine.agentkeys(&INIT), ADA).await);

    assert_eq!(document(&signed_out)["signed_out"], true);
    // Well before it would look by itself, and nobody has asked it for anything.
    machine.daemon_is(DaemonState::Ready).await;
}

#[tokio::test]
async fn without_its_key_a_session_file_is_not_opened_and_may_be_forgotten() {
    let (machine, system) = (Machine::with_credential(), System::start().await);
    let init = machine.agentkeys(&["--no-input", "--json", "--store", "file", "init", "--email", ADA]);
    document(&system.init(init, ADA).await);
    fs::write(machine.credential(), [8; 32]).unwrap();
    let run = async |arguments: &[&str]| system.used_by(machine.agentkeys(arguments)).output().await.unwrap();

    let whoami = run(&["whoami", "--json"]).await;
    let forgotten = run(&["logout", "--local", "--json"]).await;

    let complaint: Value = serde_json::from_slice(&whoami.stderr).unwrap();
    assert_eq!((whoami.status.code(), &complaint["error"]["code"]), (Some(8), &"wrong_store_key".into()));
    document(&forgotten);
    assert!(!machine.sessions().join("default.age").exists());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_passphrase_is_typed_unseen_before_the_mail_and_once_in_every_later_process() {
    const PASSPHRASE: &str = "correct horse battery staple";
    let (machine, system) = (Machine::new(), System::start().await);
    let at_terminal = |arguments: &str| Terminal::start(&system.used_by(machine.agentkeys(&[])), arguments);

    let mut init = at_terminal(&format!("--store file init --email {ADA}"));
    init.answer("New passphrase for the session file:", PASSPHRASE).await;
    assert!(system.mails_to(ADA).await.is_empty());
    init.answer("The same again:", PASSPHRASE).await;
    let code = system.mailed_code(ADA).await;
    init.answer("Code:", &code).await;
    let init = init.end().await;
    let mut whoami = at_terminal("whoami");
    whoami.answer("Passphrase of the session file:", PASSPHRASE).await;
    let whoami = whoami.end().await;
    let mut mistyped = at_terminal("whoami");
    mistyped.answer("Passphrase of the session file:", "something else").await;
    let mistyped = mistyped.end().await;

    assert!(init.contains("Signed in") && init.contains("exit 0"), "{init}");
    assert!(whoami.contains(ADA) && whoami.contains("exit 0"), "{whoami}");
    assert!(mistyped.contains("the passphrase does not open") && mistyped.contains("exit 8"), "{mistyped}");
    assert!(!init.contains("horse") && !whoami.contains("horse"), "{init}{whoami}");
}

#[tokio::test]
async fn a_session_in_memory_is_served_by_its_process_and_ends_with_it() {
    let (machine, system) = (Machine::new(), System::start().await);
    machine.set_role(&system);
    let mut init = system.used_by(machine.agentkeys(&["--no-input", "--store", "memory", "init", "--email", ADA]));
    init.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);

    let mut init = init.spawn().unwrap();
    let code = system.mailed_code(ADA).await;
    init.stdin.take().unwrap().write_all(format!("{code}\n").as_bytes()).await.unwrap();
    let credentials = tokio::time::timeout(Duration::from_secs(20), machine.credentials()).await.unwrap();
    let export = system.used_by(machine.agentkeys(&["aws", "export"])).output().await.unwrap();
    let whoami = system.used_by(machine.agentkeys(&["whoami", "--json"])).output().await.unwrap();
    let init_id = Pid::from_raw(init.id().unwrap().cast_signed()).unwrap();
    kill_process(init_id, Signal::INT).unwrap();
    let init = init.wait_with_output().await.unwrap();
    let after = system.used_by(machine.agentkeys(&["whoami", "--json"])).output().await.unwrap();

    assert!(credentials.access_key_id.starts_with("ASIA"));
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    assert!(document(&whoami)["account"].is_string());
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    assert_eq!(after.status.code(), Some(3), "{}", String::from_utf8_lossy(&after.stderr));
    assert!(String::from_utf8_lossy(&after.stderr).contains("init --store memory"));
    let walked = system.walk("ada", &mut ()).await.unwrap();
    let standing = system.flow().broker.sessions(&walked.session).await.unwrap();
    assert_eq!(standing.sessions.len(), 1, "the session of the process that ended still stands");
}
