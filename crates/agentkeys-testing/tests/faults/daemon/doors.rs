//! Who gets what by which door, and what is recorded of it.

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    thread,
};

use agentkeys_api::{AgentGrant, Audience, ErrorCode};
use agentkeys_client::Dispenser;
use agentkeys_daemon::{Door, Outcome};
use agentkeys_testing::System;
use agentkeys_types::RoleName;
use rustix::{process::Uid, thread::set_thread_res_uid};

use super::{
    life::status_with,
    machine::{Machine, SOON, ask, code},
};

const GRANT: AgentGrant = AgentGrant { audiences: None, expires_at: None };
/// `nobody` of most systems.
const STRANGER: u32 = 65534;

#[tokio::test]
async fn an_agent_gets_its_roles_alone_and_every_answer_is_recorded_with_who_asked() {
    let system = System::start().await;
    let (machine, session) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    let claude = "claude".parse().unwrap();
    system.flow().broker.put_agent(&session, &claude, &GRANT).await.unwrap();
    machine.set("[aws.roles.read]\nrole_arn = \"arn:aws:iam::000000000000:role/read\"\n");
    machine.give_agent("claude", false);
    let _daemon = machine.start().await;
    let agent = machine.client_of("claude");

    let own = agent.credentials(&RoleName::default(), None).await.unwrap();
    let other_role = agent.credentials(&"read".parse().unwrap(), None).await;
    let other_agent = agent.credentials(&RoleName::default(), Some(&"codex".parse().unwrap())).await;
    let other_audience = agent.token(&"vault".parse().unwrap(), None).await;
    let token = agent.token(&Audience::aws_sts(), None).await.unwrap();
    let stop = agent.stop().await;

    assert_eq!(own.agent, Some(claude.clone()));
    assert_eq!(token.agent, Some(claude.clone()));
    assert_eq!(code(other_role), ErrorCode::AgentNotAllowed);
    assert_eq!(code(other_agent), ErrorCode::AgentNotAllowed);
    assert_eq!(code(other_audience), ErrorCode::AgentNotAllowed);
    assert_eq!(code(stop), ErrorCode::NotFound);
    let record = machine.hand_outs();
    let refused = Outcome::Refused(ErrorCode::AgentNotAllowed);
    let outcomes: Vec<_> = record.iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::HandedOut, refused, refused, refused, Outcome::HandedOut]);
    let program = fs::canonicalize(std::env::current_exe().unwrap()).unwrap();
    for entry in &record {
        assert_eq!((entry.door, entry.agent.as_ref()), (Door::AgentSocket, Some(&claude)));
        assert_eq!(entry.uid, Some(rustix::process::getuid().as_raw()));
        assert_eq!(entry.pid, Some(std::process::id().cast_signed()));
        assert_eq!(entry.executable.as_deref(), program.to_str());
    }
    assert_eq!(record[0].access_key_id, Some(own.access_key_id));
}

#[tokio::test]
async fn nothing_is_handed_out_while_it_cannot_be_recorded() {
    let system = System::start().await;
    let (machine, _) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    let _daemon = machine.start().await;
    ask(&machine.client()).await.unwrap();
    fs::remove_file(machine.hand_out_log()).unwrap();
    fs::create_dir(machine.hand_out_log()).unwrap();

    let refused = ask(&machine.client()).await;
    fs::remove_dir(machine.hand_out_log()).unwrap();
    let after = ask(&machine.client()).await;

    assert_eq!(code(refused), ErrorCode::AuditUnavailable);
    assert!(after.is_ok(), "{after:?}");
}

#[tokio::test]
async fn each_consumer_of_the_endpoint_has_a_token_of_its_own() {
    let system = System::start().await;
    let (machine, session) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    machine.set(
        "[aws.roles.read]\nrole_arn = \"arn:aws:iam::000000000000:role/read\"\n[daemon]\nlisten = \"127.0.0.1:0\"\n",
    );
    system.flow().broker.put_agent(&session, &"claude".parse().unwrap(), &GRANT).await.unwrap();
    machine.give_agent("claude", false);
    let _daemon = machine.start().await;
    let endpoint = machine.client().status().await.unwrap().endpoint.unwrap();
    let files =
        [machine.socket().with_file_name("authorization-token"), machine.folder_of("claude").authorization_token()];
    let [person, claude] = files.each_ref().map(|path| fs::read_to_string(path).unwrap());

    let statuses = [
        status_with(&endpoint, &person).await,
        status_with(&endpoint, &claude).await,
        status_with(&endpoint, &"a".repeat(43)).await,
    ];
    let read = format!("{endpoint}/v1/container/read");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let not_given = http.get(read).header("authorization", &claude).send().await.unwrap();

    assert_eq!(statuses, [200, 200, 401]);
    assert_eq!(not_given.status().as_u16(), 403);
    assert!(not_given.text().await.unwrap().contains("agent_not_allowed"));
    for (path, token) in files.iter().zip([&person, &claude]) {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        assert_eq!(token.len(), 43);
    }
    let refusals = machine
        .hand_outs()
        .into_iter()
        .filter(|entry| entry.door == Door::Endpoint && entry.outcome == Outcome::Refused(ErrorCode::TokenInvalid));
    assert_eq!(refusals.count(), 1);
}

#[tokio::test]
async fn token_files_hold_one_jwt_and_go_when_they_are_no_longer_wanted() {
    let system = System::start().await;
    let (machine, session) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    system.flow().broker.put_agent(&session, &"claude".parse().unwrap(), &GRANT).await.unwrap();
    let own = machine.home.path().join("jwt");
    machine.set(&format!("[daemon.token_files.a]\npath = \"{}\"\n", own.display()));
    machine.give_agent("claude", true);
    let agents = machine.folder_of("claude").token_file();
    let _daemon = machine.start().await;

    let (of_person, of_agent) = (appears(own.clone()).await, appears(agents.clone()).await);
    machine.set("");
    machine.give_agent("claude", false);
    machine.client().reload().await.unwrap();

    for jwt in [&of_person, &of_agent] {
        assert_eq!(jwt.split('.').count(), 3);
        assert!(jwt.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    assert!(!own.exists() && !agents.exists());
    assert!(machine.hand_outs().iter().filter(|entry| entry.door == Door::TokenFile).count() >= 2);
}

/// What a file holds as soon as it is there.
async fn appears(path: PathBuf) -> String {
    let reading = async {
        loop {
            if let Ok(text) = fs::read_to_string(&path) {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, reading).await.unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs root: cargo xtask test"]
async fn another_user_is_answered_only_where_the_settings_list_them() {
    let system = System::start().await;
    let (machine, session) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    system.flow().broker.put_agent(&session, &"claude".parse().unwrap(), &GRANT).await.unwrap();
    machine.give_agent("claude", false);
    let socket = machine.folder_of("claude").socket();
    let daemon = machine.start().await;

    let kept_out = as_stranger(&socket);
    show(machine.home.path(), &socket);
    let turned_away = as_stranger(&socket);
    let record = machine.hand_outs();
    daemon.kill().await;
    machine.set(&format!("[daemon]\nallow_uids = [{STRANGER}]\n"));
    let _daemon = machine.start().await;
    show(machine.home.path(), &socket);
    let listed = as_stranger(&socket);
    fs::set_permissions(machine.socket(), Permissions::from_mode(0o666)).unwrap();
    let at_the_persons = as_stranger(&machine.socket());

    assert!(kept_out.starts_with("not connected"), "{kept_out}");
    assert!(turned_away.contains("403") && turned_away.contains("peer_not_allowed"), "{turned_away}");
    assert!(listed.contains("200 OK") && listed.contains("ASIA"), "{listed}");
    assert!(at_the_persons.contains("peer_not_allowed"), "{at_the_persons}");
    let turned_away = record.last().unwrap();
    assert_eq!(turned_away.outcome, Outcome::Refused(ErrorCode::PeerNotAllowed));
    assert_eq!(turned_away.uid, Some(STRANGER));
}

/// Opens the way to a socket for everybody, as somebody might who wants to share it.
fn show(home: &Path, socket: &Path) {
    for folder in socket.ancestors().skip(1).take_while(|folder| folder.starts_with(home)) {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(socket, Permissions::from_mode(0o666)).unwrap();
}

/// What a process of another user is answered who asks for credentials.
fn as_stranger(socket: &Path) -> String {
    let socket = socket.to_owned();
    let asking = thread::spawn(move || {
        let stranger = Uid::from_raw(STRANGER);
        // Of this thread alone, which ends.
        set_thread_res_uid(stranger, stranger, stranger).unwrap();
        let mut stream = match UnixStream::connect(socket) {
            Ok(stream) => stream,
            Err(error) => return format!("not connected: {error}"),
        };
        let request = "GET /v1/credentials?profile=default HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    asking.join().unwrap()
}
