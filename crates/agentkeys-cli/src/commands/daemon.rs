use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use agentkeys_api::DaemonState;
use agentkeys_daemon::{DaemonArgs, ServiceManager};
use clap::{Args, Subcommand};

use crate::{context::Context, error::CliError, output::Output};

/// What can be done with the daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Run it here, until it is told to stop
    Run(RunArgs),
    /// Show how it is doing
    Status,
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

    /// Who started this process, if it was not a person.
    #[arg(skip)]
    manager: Option<ServiceManager>,
}

impl DaemonCommand {
    pub(crate) async fn run(self, context: &Context, output: &Output) -> Result<(), CliError> {
        match self {
            Self::Run(args) => args.run(context).await,
            Self::Status => status(context, output).await,
        }
    }
}

impl RunArgs {
    /// In the place that the settings name.
    pub(super) fn for_init() -> Self {
        Self { socket: None, listen: None, manager: None }
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
            profile: context.profile.clone(),
            // It is open already.
            store: None,
            store_key: None,
            socket: self.socket,
            listen: self.listen,
        };
        let manager = self.manager.unwrap_or_default();
        Ok(agentkeys_daemon::run(args, &context.places, Arc::clone(&context.renewal), manager).await?)
    }
}

async fn status(context: &Context, output: &Output) -> Result<(), CliError> {
    let status = context.daemon().status().await?;
    output.result(&status, |output| {
        let state = match status.state {
            DaemonState::Idle => "idle",
            DaemonState::Ready => "ready",
            DaemonState::Retrying => "retrying",
            DaemonState::SignInNeeded => "sign-in needed",
            DaemonState::Starting => "starting",
        };
        output.line(format_args!("profile      {}", status.profile));
        output.line(format_args!("state        {state}"));
        if let Some(account) = status.account {
            output.line(format_args!("account      {account}"));
        }
        if let Some(wallet) = status.wallet {
            output.line(format_args!("wallet       {wallet}"));
        }
        if let Some(end) = status.credentials_expire_at {
            output.line(format_args!("credentials  until {end}"));
        }
        if let Some(error) = &status.last_error {
            output.line(format_args!("last error   {error}"));
        }
    });
    Ok(())
}
