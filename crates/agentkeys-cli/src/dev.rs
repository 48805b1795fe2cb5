//! `agentkeys dev`: the whole system in one process on loopback, walked once. For development only.

mod bucket;
mod code;
mod error;
mod ports;
mod report;
mod screen;
mod state;
mod system;
mod try_it;

use std::{ffi::OsString, io, sync::Arc, time::Instant};

use agentkeys_client::{AwsSettings, Binding, EmailSignIn, Flow, ProfileName, Role, SignerClient, SignerTrust, Walked};
use agentkeys_daemon::{Daemon, DaemonConfig, Rules};
use agentkeys_mock_server::dev_key_service::DevKeyService;
use agentkeys_types::EmailAddress;
use clap::Args;

use self::{
    bucket::Bucket, code::MailboxPrompt, ports::Ports, report::Report, screen::Screen, state::State, system::System,
};
use crate::{
    child::{self, Environment, Signals},
    commands::aws::variables,
    context::Context,
    error::CliError,
    output::Output,
};

pub(crate) use self::error::DevError;

/// The flags of `agentkeys dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Walk once and end, with 0 if every line went well
    #[arg(long, conflicts_with = "command")]
    once: bool,

    /// Who signs in
    #[arg(long, default_value = "dev@agentkeys.localhost", value_name = "ADDRESS")]
    email: EmailAddress,

    #[command(flatten)]
    ports: Ports,

    /// A program to run with the credentials in its environment, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,

    /// From the environment, if there was one in it.
    #[arg(skip)]
    keys: Option<Arc<DevKeyService>>,
}

impl DevArgs {
    /// To be called before there are threads.
    pub(crate) fn take_master_secret(&mut self) -> Result<(), DevError> {
        let keys = DevKeyService::from_env().map_err(|error| DevError::part("signer")(error.into()))?;
        self.keys = keys.map(Arc::new);
        agentkeys_memory::clear_residue();
        Ok(())
    }

    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<u8, CliError> {
        let screen = Screen::new(output, !self.command.is_empty());
        let state = State::lock(context.places.state().join("dev"))?;
        let mut notes = Vec::new();
        let addresses = self.ports.choose(|note| notes.push(note))?;
        let system = System::start(&state, addresses, self.keys.clone(), context.clock.clone()).await?;
        screen.header(&notes, &system, &state);

        let mut report = Report::new(screen);
        let walked = self.walk(context, &system, &mut report).await;
        let (walked, aws) = match walked {
            Ok(walked) => walked,
            Err(error) => {
                report.print_document();
                system.stop().await;
                return Err(error);
            }
        };
        report.end(&walked);
        let daemon = Daemon::start(
            daemon_config(context, &system, aws.clone())?,
            walked.session.clone(),
            None,
            context.clock.clone(),
            &context.http,
        );
        let daemon = match daemon.await {
            Ok(daemon) => daemon,
            Err(error) => {
                system.stop().await;
                return Err(error.into());
            }
        };
        report.print_document();

        let code = if !self.command.is_empty() {
            let Walked { session, wallet, credentials } = walked;
            let role = Role::of(&aws).ok_or(CliError::NoRole { config: context.places.config_file() })?;
            let credentials = role.hand_out(credentials, wallet, session.omni_account, None);
            let environment = Environment::inherited().with(variables(&credentials));
            match Signals::listen() {
                Ok(signals) => child::run(&self.command, environment, signals).await.map_err(CliError::from),
                Err(error) => Err(error.into()),
            }
        } else if self.once {
            Ok(0)
        } else {
            screen.footer(&try_it::program(), &walked.wallet);
            told_to_stop().await.map(|()| 0).map_err(CliError::from)
        };
        daemon.stop().await;
        system.stop().await;
        code
    }

    /// The eight steps, and then the two lines that show what they are good for.
    async fn walk(
        &self,
        context: &Context,
        system: &System,
        report: &mut Report<'_>,
    ) -> Result<(Walked, AwsSettings), CliError> {
        let aws = system.aws_settings()?;
        let role = Role::of(&aws).ok_or(CliError::NoRole { config: context.places.config_file() })?;
        let signer = SignerClient::new(&context.http, system.signer_url()?, SignerTrust::Loopback)?;
        let flow = Flow::new(&context.http, system.broker_url()?, signer);
        let sign_in = EmailSignIn {
            email: self.email.clone(),
            client_name: Some("agentkeys dev".to_owned()),
            binding: Binding::DeviceKey,
        };
        let mut prompt = MailboxPrompt::new(system.mailbox(), &self.email);
        let walked = flow.walk(&sign_in, &mut prompt, &role, report).await;
        let walked = walked.inspect_err(|error| report.failed_step(error))?;

        let bucket = Bucket::new(&system.aws_at(), &aws.region, &walked.credentials)?;
        let started = Instant::now();
        let own = bucket.write_and_read(&walked.wallet.to_lowercase()).await;
        report.check("wrote and read", started.elapsed(), &own);
        let started = Instant::now();
        let other = bucket.is_refused(&format!("0x{}", "0".repeat(40))).await;
        report.check("refused", started.elapsed(), &other);
        own.and(other)?;
        Ok((walked, aws))
    }
}

/// Completes at Ctrl-C and at SIGTERM.
pub(crate) async fn told_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn daemon_config(context: &Context, system: &System, aws: AwsSettings) -> Result<DaemonConfig, CliError> {
    let profile: ProfileName =
        "dev".parse().map_err(|error: agentkeys_types::Invalid| CliError::Usage(error.to_string()))?;
    let servers = [system.broker_url()?, system.signer_url()?];
    Ok(DaemonConfig::in_places(&context.places, profile, servers, Rules::of_aws(aws).fixed()))
}
