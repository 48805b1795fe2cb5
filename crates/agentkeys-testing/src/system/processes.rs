use std::{fs, net::SocketAddr, path::Path, time::Duration};

use agentkeys_mock_server::AwsConfig;
use tempfile::TempDir;

use crate::Process;

/// How long sessions of the AWS stand-in are.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLengths {
    pub(super) shortest: Duration,
    pub(super) unless_asked: Duration,
}

pub(super) const AS_AWS: SessionLengths =
    SessionLengths { shortest: AwsConfig::SHORTEST_SESSION, unless_asked: AwsConfig::DEFAULT_SESSION };

pub(super) fn start_parts(
    folder: &TempDir,
    issuer: SocketAddr,
    addresses: [SocketAddr; 3],
    master_secret: &[u8; 32],
    lengths: SessionLengths,
) -> Process {
    start_parts_in(&folder.path().join("parts"), issuer, addresses, master_secret, lengths)
}

/// The development parts: signer and mailbox page, AWS stand-in and mailbox at `addresses`.
pub(super) fn start_parts_in(
    state: &Path,
    issuer: SocketAddr,
    addresses: [SocketAddr; 3],
    master_secret: &[u8; 32],
    lengths: SessionLengths,
) -> Process {
    let issuer = format!("http://{issuer}");
    let mut command = Process::command(Process::binary("agentkeys-mock-server"));
    for (listener, address) in ["--listen", "--aws-listen", "--smtp-listen"].into_iter().zip(addresses) {
        command.args([listener, &address.to_string()]);
    }
    command.args(["--broker-url", &issuer, "--trust-issuer", &issuer]);
    command.args(["--aws-shortest-session", &lengths.shortest.as_secs().to_string()]);
    command.args(["--aws-default-session", &lengths.unless_asked.as_secs().to_string()]);
    command.arg("--state").arg(state);
    command.env("DEV_KEY_SERVICE_MASTER_SECRET", hex::encode(master_secret));
    Process::start(command)
}

pub(super) fn start_broker(folder: &TempDir, issuer: SocketAddr, smtp: SocketAddr, log: &str, more: &str) -> Process {
    let config = folder.path().join("broker.toml");
    let state = folder.path().join("broker");
    let settings = format!(
        "listen = \"{issuer}\"\nmetrics_listen = \"127.0.0.1:0\"\nstate = \"{}\"\n{more}\n[mail]\nsmtp = \"smtp://{smtp}\"\n",
        state.display()
    );
    fs::write(&config, settings).expect("a temporary folder can be written");
    let mut command = Process::command(Process::binary("agentkeys-broker"));
    command.arg("--config").arg(config).args(["--log", log]);
    Process::start(command)
}
