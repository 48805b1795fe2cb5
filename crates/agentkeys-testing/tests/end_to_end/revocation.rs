//! How sessions end and are renewed: the real binaries, and whom each learns it from.

use std::{sync::Arc, time::Duration};

use agentkeys_client::{MemoryStore, Places, ProfileName, Renewal, SessionTokenKeyStore};
use agentkeys_testing::{Process, System};
use agentkeys_types::{Clock, SystemClock, Timestamp};

use crate::machine::{Machine, document};

const INIT: [&str; 7] = ["--no-input", "--json", "--store", "file", "init", "--email", "ada@example.com"];
const ADA: &str = "ada@example.com";

#[tokio::test]
async fn a_receipt_tells_whom_a_revocation_reached() {
    let (machine, system) = (Machine::with_credential(), System::start().await);
    machine.set_role(&system);
    document(&system.init(machine.agentkeys(&INIT), ADA).await);
    let mut daemon = Process::start(system.used_by(machine.command("agentkeys-daemon")));
    daemon.line_with("credentials are served").await;
    machine.credentials().await;

    let revoke = system.used_by(machine.agentkeys(&["revoke", "--receipt", "--json"])).output().await.unwrap();
    let after = system.used_by(machine.agentkeys(&["whoami", "--json"])).output().await.unwrap();

    let receipt = document(&revoke);
    let reached = receipt["reached"].as_array().unwrap();
    let whats: Vec<_> = reached.iter().map(|reached| reached["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["broker", "broker", "broker", "signer", "daemon"]);
    for reached in reached {
        assert_eq!(reached["reached"], true, "{receipt}");
        assert!(reached["milliseconds"].as_f64().unwrap() < 5000.0, "{receipt}");
    }
    assert!(receipt["aws_credentials_until"].is_string());
    assert_eq!(after.status.code(), Some(3), "the session still stands");
}

#[tokio::test]
async fn a_plain_revocation_names_the_session_and_ends_it() {
    let (machine, system) = (Machine::with_credential(), System::start().await);
    document(&system.init(machine.agentkeys(&INIT), ADA).await);
    let sessions = system.used_by(machine.agentkeys(&["sessions", "list", "--json"])).output().await.unwrap();
    let id = document(&sessions)["sessions"][0]["session_id"].clone();

    let revoke = system.used_by(machine.agentkeys(&["revoke", "--json"])).output().await.unwrap();
    let again = system.used_by(machine.agentkeys(&["revoke", "--json"])).output().await.unwrap();

    assert_eq!(document(&revoke)["revoked"], id);
    assert_eq!(again.status.code(), Some(3));
}

#[tokio::test]
async fn a_session_is_renewed_in_time_and_its_old_token_is_worth_nothing() {
    let system = System::start().await;
    let walked = system.walk("ada", &mut ()).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let (places, profile) = (Places::new(home.path(), None, None, None), ProfileName::default());
    let store: Arc<dyn SessionTokenKeyStore> = Arc::new(MemoryStore::default());
    store.save(&profile, &walked.session).await.unwrap();
    let flow = system.flow();
    let today = Renewal::new(store.clone(), &places, &profile, Arc::new(SystemClock));
    let later = Renewal::new(store.clone(), &places, &profile, Arc::new(InTwentyDays));

    let kept = today.renew_if_due(&flow.broker, walked.session.clone()).await.unwrap();
    drop(today);
    let renewed = later.renew_if_due(&flow.broker, walked.session.clone()).await.unwrap();

    assert_eq!(kept.token.expose(), walked.session.token.expose());
    assert_ne!(renewed.token.expose(), walked.session.token.expose());
    assert_eq!(renewed.session_id, walked.session.session_id);
    let stored = store.load(&profile).await.unwrap().unwrap();
    assert_eq!(stored.token.expose(), renewed.token.expose());
    flow.connect_wallet(&renewed, &mut ()).await.unwrap();
    flow.fetch_credentials(&renewed, walked.wallet, &system.role(), &mut ()).await.unwrap();

    let reused = flow.broker.session(&walked.session).await.unwrap_err();
    let after = flow.broker.session(&renewed).await.unwrap_err();

    assert!(reused.needs_sign_in(), "{reused}");
    assert!(after.needs_sign_in(), "a reuse must end the session: {after}");
}

#[derive(Debug)]
struct InTwentyDays;

impl Clock for InTwentyDays {
    fn now(&self) -> Timestamp {
        SystemClock.now().after(Duration::from_hours(20 * 24 + 1))
    }
}
