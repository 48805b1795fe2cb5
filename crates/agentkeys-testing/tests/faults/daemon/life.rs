//! How a daemon starts, follows its settings, and ends.

use std::{fs, time::Duration};

use agentkeys_api::{DaemonState, ErrorCode};
use agentkeys_client::Dispenser;
use agentkeys_testing::System;
use agentkeys_types::RoleName;
use rustix::process::Signal;

use super::{
    fake_sts::{FakeSts, Manner},
    machine::{Machine, SOON, ask, code, poll, problem, signal},
};

const READ: &str = "[aws.roles.read]\nrole_arn = \"arn:aws:iam::000000000000:role/read\"\n";

#[tokio::test]
async fn a_daemon_answers_before_it_has_fetched_anything_also_when_no_server_does() {
    let system = System::start().await;
    let (machine, _) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    for (_, process) in system.processes() {
        signal(process, Signal::STOP);
    }

    let _daemon = machine.start().await;
    let status = machine.client().status().await.unwrap();

    assert_eq!((status.state, status.credentials_expire_at), (DaemonState::Starting, None));
    for (_, process) in system.processes() {
        signal(process, Signal::CONT);
    }
    poll(&machine.client(), SOON, Result::is_ok).await;
}

#[tokio::test]
async fn from_a_terminal_a_daemon_without_a_session_says_so_and_ends() {
    let system = System::start().await;
    let machine = Machine::of(&system, &system.aws_url(), 900);

    let ended = machine.daemon().output().await.unwrap();

    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("agentkeys init"), "{ended:?}");
    assert!(machine.left_behind().is_empty(), "{:?}", machine.left_behind());
}

#[tokio::test]
async fn a_second_daemon_says_that_there_is_one_and_leaves_it_alone() {
    let system = System::start().await;
    let (machine, _) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    let _daemon = machine.start().await;

    let second = machine.daemon().output().await.unwrap();

    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(String::from_utf8_lossy(&second.stderr).contains("already answers"), "{second:?}");
    assert!(ask(&machine.client()).await.is_ok());
}

#[tokio::test]
async fn a_daemon_that_is_asked_to_stop_takes_everything_away_and_lets_answers_leave_first() {
    for way in ["POST", "TERM", "INT"] {
        let (system, sts) = (System::start().await, FakeSts::start(Manner::Gives(900)).await);
        let (machine, _) = Machine::signed_in(&system, &sts.url, 900).await;
        let token_file = machine.home.path().join("jwt");
        machine.set(&format!(
            "{READ}[daemon]\nlisten = \"127.0.0.1:0\"\n[daemon.token_files.a]\npath = \"{}\"\n",
            token_file.display()
        ));
        machine.give_agent("claude", false);
        let mut daemon = machine.start().await;
        ask(&machine.client()).await.unwrap();
        let held = sts.hold().await;
        let client = machine.client();
        let waiting = tokio::spawn(async move { client.credentials(&"read".parse().unwrap(), None).await });
        sts.is_asked(2).await;

        match way {
            "POST" => drop(machine.client().stop().await.unwrap()),
            "TERM" => signal(daemon.id(), Signal::TERM),
            _ => signal(daemon.id(), Signal::INT),
        }
        // From then on nobody is let in.
        while machine.client().status().await.is_ok() {}
        drop(held);
        let (ended, answer) = (daemon.ended().await, waiting.await.unwrap());

        assert_eq!(ended.code(), Some(0), "{way}");
        assert!(answer.is_ok(), "{way}: {answer:?}");
        assert!(machine.left_behind().is_empty(), "{way}: {:?}", machine.left_behind());
        assert!(!token_file.exists(), "{way}");
    }
}

#[tokio::test]
async fn after_a_kill_a_daemon_starts_anew_over_what_was_left() {
    let system = System::start().await;
    let (machine, _) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    machine.set("[daemon]\nlisten = \"127.0.0.1:0\"\n");
    machine.give_agent("claude", false);
    machine.give_agent("codex", false);
    let daemon = machine.start().await;
    let token = |name: &str| fs::read_to_string(machine.folder_of(name).authorization_token());
    let before = token("claude").unwrap();
    daemon.kill().await;
    machine.take_agent("codex");

    let _daemon = machine.start().await;

    assert!(ask(&machine.client()).await.is_ok());
    assert_ne!(token("claude").unwrap(), before);
    assert!(!machine.folder_of("codex").path().exists(), "{:?}", machine.left_behind());
}

#[tokio::test]
async fn a_reload_drops_nobody_brings_what_is_new_and_takes_what_was_taken() {
    for way in ["POST", "HUP"] {
        let (system, sts) = (System::start().await, FakeSts::start(Manner::Gives(900)).await);
        let (machine, _) = Machine::signed_in(&system, &sts.url, 900).await;
        machine.set("[daemon]\nlisten = \"127.0.0.1:0\"\n");
        machine.give_agent("claude", false);
        let daemon = machine.start().await;
        let endpoint = machine.client().status().await.unwrap().endpoint.unwrap();
        let token = fs::read_to_string(machine.folder_of("claude").authorization_token()).unwrap();
        let held = sts.hold().await;
        let client = machine.client();
        let waiting = tokio::spawn(async move { ask(&client).await });
        sts.is_asked(1).await;

        machine.set(&format!("{READ}[daemon]\nlisten = \"127.0.0.1:0\"\n"));
        machine.take_agent("claude");
        match way {
            "POST" => drop(machine.client().reload().await.unwrap()),
            _ => signal(daemon.id(), Signal::HUP),
        }
        while machine.folder_of("claude").path().exists() {
            tokio::task::yield_now().await;
        }
        drop(held);
        let read = machine.client().credentials(&"read".parse().unwrap(), None).await;

        assert!(waiting.await.unwrap().is_ok(), "{way}");
        assert!(read.is_ok(), "{way}: {read:?}");
        assert_eq!(status_with(&endpoint, &token).await, 401, "{way}");
        assert_eq!(machine.client().status().await.unwrap().endpoint, Some(endpoint), "{way}");
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_change_nothing_and_are_told() {
    let system = System::start().await;
    let (machine, _) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    machine.give_agent("claude", false);
    let mut daemon = machine.start().await;
    machine.write_settings("[aws]\nrole = 5\n");

    let refused = problem(machine.client().reload().await);
    signal(daemon.id(), Signal::HUP);
    daemon.line_with("so the ones before stay").await;

    assert_eq!(refused.error, ErrorCode::InvalidField);
    assert!(refused.detail.contains("config.toml") && refused.detail.contains("role"), "{refused}");
    assert!(ask(&machine.client()).await.is_ok());
    assert!(machine.client_of("claude").allowed(None).await.is_ok());
}

#[tokio::test]
async fn an_address_that_is_taken_keeps_the_endpoint_that_there_was_and_all_else_follows() {
    let system = System::start().await;
    let (machine, _) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    machine.set("[daemon]\nlisten = \"127.0.0.1:0\"\n");
    machine.give_agent("claude", false);
    let _daemon = machine.start().await;
    let endpoint = machine.client().status().await.unwrap().endpoint.unwrap();
    let token = fs::read_to_string(machine.socket().with_file_name("authorization-token")).unwrap();
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    machine.set(&format!("[daemon]\nlisten = \"{}\"\n", occupied.local_addr().unwrap()));
    machine.take_agent("claude");

    let refused = machine.client().reload().await;

    assert_eq!(code(refused), ErrorCode::InvalidField);
    assert_eq!(status_with(&endpoint, &token).await, 200);
    assert!(!machine.folder_of("claude").path().exists());
}

#[tokio::test]
async fn a_daemon_whose_session_was_revoked_goes_on_with_the_next_one() {
    let system = System::start().await;
    let (machine, session) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    let _daemon = machine.start().await;
    ask(&machine.client()).await.unwrap();

    system.flow().broker.revoke_session(&session, session.session_id).await.unwrap();
    let refused = poll(&machine.client(), SOON, Result::is_err).await.pop().unwrap();
    machine.keep(&system.walk("ada", &mut ()).await.unwrap().session).await;
    poll(&machine.client(), SOON, Result::is_ok).await;

    let refused = problem(refused);
    assert_eq!(refused.error, ErrorCode::TokenRevoked, "{refused}");
    assert!(refused.detail.contains("`agentkeys init`"), "{refused}");
}

#[tokio::test]
async fn a_reload_after_a_new_sign_in_brings_its_credentials_before_anybody_asks() {
    let system = System::start().await;
    let (machine, session) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    let _daemon = machine.start().await;
    ask(&machine.client()).await.unwrap();
    system.flow().broker.revoke_session(&session, session.session_id).await.unwrap();
    poll(&machine.client(), SOON, Result::is_err).await;
    machine.keep(&system.walk("ada", &mut ()).await.unwrap().session).await;

    machine.client().reload().await.unwrap();

    let is_ready = async {
        while machine.client().status().await.unwrap().state != DaemonState::Ready {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, is_ready).await.unwrap();
}

/// The role is named only: no default one tells how it is.
#[tokio::test]
async fn a_new_session_is_found_also_where_only_another_role_is_asked_for() {
    let system = System::start().await;
    let (machine, session) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    machine.give_agent("claude", false);
    let _daemon = machine.start().await;
    ask(&machine.client()).await.unwrap();
    let vault = "vault".parse().unwrap();
    system.flow().broker.revoke_session(&session, session.session_id).await.unwrap();
    machine.client().reload().await.unwrap();

    let refused = machine.client().token(&vault, None).await;
    machine.keep(&system.walk("ada", &mut ()).await.unwrap().session).await;
    let found = async {
        while machine.client().token(&vault, None).await.is_err_and(|error| error.needs_sign_in()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };

    assert_eq!(code(refused), ErrorCode::TokenRevoked);
    tokio::time::timeout(SOON, found).await.unwrap();
    assert!(machine.client().credentials(&RoleName::default(), None).await.is_ok());
}

/// What the endpoint answers to a token.
pub(super) async fn status_with(endpoint: &str, token: &str) -> u16 {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(format!("{endpoint}/v1/container/default")).header("authorization", token);
    request.send().await.unwrap().status().as_u16()
}
