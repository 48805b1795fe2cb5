mod install;
mod launchd;
mod log;
mod service;
mod status;
mod systemd;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use agentkeys_client::ClientError;
use agentkeys_daemon::{DaemonArgs, ServiceManager};
use clap::{Args, Subcommand};
use serde_json::json;

use self::{install::InstallArgs, log::LogArgs};
pub(crate) use self::{service::Service, status::in_words};
use crate::{context::Context, error::CliError, output::Output};

/// What can be done with the daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Run it here, until it is told to stop
    Run(RunArgs),
    /// Have it run whenever you are logged in, from the first request on: as a service of systemd or launchd
    Install(InstallArgs),
    /// Show how it is doing
    Status,
    /// Have it read the settings and the agents anew
    Reload,
    /// End it
    Stop,
    /// Show what it has handed out to whom, and what it has refused
    Log(LogArgs),
}

/// The flags of `agentkeys daemon run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Listen here instead of in the runtime folder
    #[arg(long, env = "AGENTKEYS_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,

    /// Give AWS SDKs credentials over HTTP as well, at this address of 127.0.0.1, such as 127.0.0.1:8474
    #[arg(long, env = "AGENTKEYS_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Wait for a person to sign in instead of ending, as under a service manager
    #[arg(long)]
    wait: bool,

    /// Who started this process, if it was not a person.
    #[arg(skip)]
    manager: Option<ServiceManager>,
}

impl DaemonCommand {
    pub(crate) async fn run(self, context: &Context, output: &Output) -> Result<(), CliError> {
        match self {
            Self::Run(args) => args.run(context).await,
            Self::Install(args) => args.run(context, output).await,
            Self::Status => status::run(context, output).await,
            Self::Reload => reload(context, output).await,
            Self::Stop => stop(context, output).await,
            Self::Log(args) => args.run(context, output),
        }
    }
}

impl RunArgs {
    /// In the place that the settings name.
    pub(super) fn for_init() -> Self {
        Self { socket: None, listen: None, wait: false, manager: None }
    }

    /// To be called before there are threads.
    pub(crate) fn take_over(&mut self) -> io::Result<()> {
        self.manager = Some(ServiceManager::take()?);
        Ok(())
    }

    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let args = DaemonArgs {
            broker_url: Some(context.settings.broker_url.clone()),
            signer_url: Some(context.settings.signer_url.clone()),
            allow_unattested_signer: context.settings.allow_unattested_signer,
            attestation_policy: context.settings.attestation_policy.clone(),
            release_key: context.settings.release_key.clone(),
            profile: context.profile.clone(),
            // It is open already.
            store: None,
            store_key: None,
            socket: self.socket,
            listen: self.listen,
            wait: self.wait,
        };
        let manager = self.manager.unwrap_or_default();
        Ok(agentkeys_daemon::run(args, &context.places, Arc::clone(&context.renewal), manager).await?)
    }
}

async fn reload(context: &Context, output: &Output) -> Result<(), CliError> {
    let status = context.daemon().reload().await?;
    output.result(&status, |output| {
        let agents = match status.agents.len() {
            1 => "1 agent has".to_owned(),
            many => format!("{many} agents have"),
        };
        output.done(format_args!("Settings and agents read anew: {agents} a socket here"));
    });
    Ok(())
}

async fn stop(context: &Context, output: &Output) -> Result<(), CliError> {
    let daemon = context.daemon();
    let pid = match daemon.status().await {
        Err(ClientError::NoDaemon { .. }) => None,
        status => {
            let pid = status?.pid;
            match daemon.stop().await {
                // It may be gone before its answer is.
                Ok(_) | Err(ClientError::NoDaemon { .. }) => Some(pid),
                Err(error) => return Err(error.into()),
            }
        }
    };
    output.result(&json!({"stopped": pid.is_some(), "pid": pid}), |output| match pid {
        Some(pid) => output.done(format_args!("Daemon {pid} has ended")),
        None => output.line("No daemon runs."),
    });
    if pid.is_some() && Service::of(context).is_written() {
        let command = context.command();
        output.note(format_args!(
            "Its service starts it again when it is needed: `{command} daemon install --uninstall` ends that."
        ));
    }
    Ok(())
}
