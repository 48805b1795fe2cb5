use std::{
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use agentkeys_api::SignedIn;
use agentkeys_client::{AwsSettings, DaemonClient, Dispenser, Http, Places, ProfileName, ServerUrl, Session};
use agentkeys_daemon::{DaemonConfig, Rules};
use agentkeys_types::{Clock, RoleName, SystemClock};
use anyhow::Context;
use clap::Args;

use crate::{process::Process, system::System};

/// A daemon as its own binary runs it, but for where its session comes from.
#[derive(Debug, Args)]
pub(crate) struct Daemon {
    #[arg(long)]
    broker_url: ServerUrl,
    #[arg(long)]
    signer_url: ServerUrl,
    #[arg(long)]
    sts_url: ServerUrl,
    #[arg(long)]
    socket: PathBuf,
}

impl Daemon {
    /// Serves until the process is ended.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let signed_in: SignedIn = serde_json::from_reader(std::io::stdin())?;
        let session = Session::opened(signed_in, None, self.broker_url.clone(), SystemClock.now())?;
        let aws = AwsSettings {
            role_arn: Some("arn:aws:iam::000000000000:role/agentkeys-dev".parse()?),
            endpoint_url: Some(self.sts_url),
            ..AwsSettings::default()
        };
        let state = self.socket.parent().context("a folder")?;
        let places = Places::new(state, None, None, None);
        let servers = [self.broker_url, self.signer_url];
        let config = DaemonConfig::in_places(&places, ProfileName::default(), servers, Rules::of_aws(aws).fixed());
        let config = DaemonConfig { socket: self.socket, ..config };
        let _running =
            agentkeys_daemon::Daemon::start(config, session, None, Arc::new(SystemClock), &Http::default()).await?;
        std::future::pending().await
    }
}

/// Resident memory, in KiB, of a daemon that has handed out credentials and rests.
pub(crate) async fn resident(system: &System) -> anyhow::Result<u64> {
    let url = |address: SocketAddr| format!("http://{address}");
    let socket = system.state().join("agent/agent.sock");
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["daemon", "--broker-url", &url(system.broker.address)])
        .args(["--signer-url", &url(system.development.address), "--sts-url", &url(system.aws), "--socket"])
        .arg(&socket)
        .stdin(Stdio::piped());
    let answer = system.mailed_code("daemon@example.com").await?;
    let signed_in = system.post(system.broker.address, agentkeys_api::paths::EMAIL_VERIFY, None, &answer).await?;
    let mut child = command.spawn()?;
    child.stdin.take().context("a pipe")?.write_all(signed_in.body.to_string().as_bytes())?;
    let process = Process::adopt(child, system.broker.address);
    let client = DaemonClient::new(socket, ProfileName::default());
    for _ in 0..200 {
        if client.credentials(&RoleName::default(), None).await.is_ok() {
            return process.resident();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("the daemon gave no credentials within 2 s")
}
