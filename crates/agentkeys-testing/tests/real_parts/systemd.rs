//! Socket activation, by systemd's own program for it.

use std::{
    fs,
    os::unix::{fs::DirBuilderExt, net::UnixDatagram},
    time::Duration,
};

use agentkeys_client::{DaemonClient, Dispenser, ProfileName};
use agentkeys_testing::{Home, Process, System};
use agentkeys_types::RoleName;

use crate::parts::at;

const ADA: &str = "ada@example.com";

#[tokio::test]
#[ignore = "needs systemd: cargo xtask test"]
async fn a_daemon_that_systemd_starts_without_a_session_goes_on_once_there_is_one() {
    let (system, home) = (System::start().await, Home::default());
    let below = |name: &str| home.path().join(name);
    let (credentials, socket) = (below("credentials"), below("run/agentkeys/agent.sock"));
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("agentkeys-session-key"), [7; 32]).unwrap();
    fs::create_dir_all(below("config/agentkeys")).unwrap();
    let settings = format!(
        "broker_url = \"{}\"\nsigner_url = \"{}\"\n[aws]\nrole_arn = \"{}\"\nendpoint_url = \"{}\"\n",
        system.broker_url(),
        system.signer_url(),
        System::ROLE_ARN,
        system.aws_url()
    );
    fs::write(below("config/agentkeys/config.toml"), settings).unwrap();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(socket.parent().unwrap()).unwrap();
    let notify = UnixDatagram::bind(below("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut command = Process::command(at("AGENTKEYS_TEST_SYSTEMD"));
    command.arg("--listen").arg(&socket);
    for (name, value) in home.environment() {
        command.arg("--setenv").arg(format!("{name}={value}"));
    }
    command.arg("--setenv").arg(format!("CREDENTIALS_DIRECTORY={}", credentials.display()));
    command.arg("--setenv").arg(format!("NOTIFY_SOCKET={}", below("notify").display()));
    command.arg(Process::binary("agentkeys-daemon")).args(["--store", "file", "--store-key", "systemd"]);
    let mut activated = Process::start(command);
    activated.line_with("Listening on").await;
    let agent = DaemonClient::new(socket, ProfileName::default());

    let refused = agent.credentials(&RoleName::default(), None).await.unwrap_err();
    let mut told = [0; 100];
    let length = notify.recv(&mut told).unwrap();
    let mut init = home.agentkeys(&["--no-input", "--store", "file", "init", "--email", ADA]);
    init.env("CREDENTIALS_DIRECTORY", &credentials);
    let init = system.init(init, ADA).await;
    let served = async {
        while agent.credentials(&RoleName::default(), None).await.is_err() {
            tokio::task::yield_now().await;
        }
    };

    assert!(refused.needs_sign_in(), "{refused}");
    assert_eq!(&told[..length], b"READY=1");
    assert!(init.status.success(), "{init:?}");
    tokio::time::timeout(Duration::from_secs(10), served).await.unwrap();
}
