//! The binary `agentkeys-mock-server`: the development parts as a server of their own.

#[cfg(feature = "dev-key-service")]
mod development_signer;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agentkeys_http::Server;
use agentkeys_memory::WipingAllocator;
#[cfg(feature = "dev-key-service")]
use agentkeys_mock_server::dev_key_service::DevKeyService;
use agentkeys_mock_server::{AwsConfig, AwsStandIn, Mailbox, SmtpListener, Trust};
use agentkeys_types::{Clock, SystemClock};
use anyhow::{Context, bail};
use clap::Parser;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

/// Development parts of AgentKeys: signer, mailbox and AWS stand-in. For development only.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where the development signer and the mailbox page listen.
    #[arg(long, env = "AGENTKEYS_LISTEN", default_value = "127.0.0.1:8471")]
    listen: SocketAddr,

    /// The URL under which clients know `--listen`, where a proxy stands before it: the proofs of their requests name it.
    #[arg(long, env = "AGENTKEYS_PUBLIC_URL", value_name = "URL")]
    public_url: Option<reqwest::Url>,

    /// Where the AWS stand-in listens.
    #[arg(long, env = "AGENTKEYS_AWS_LISTEN", default_value = "127.0.0.1:8472")]
    aws_listen: SocketAddr,

    /// Where the mailbox takes mail over SMTP.
    #[arg(long, env = "AGENTKEYS_SMTP_LISTEN", default_value = "127.0.0.1:8473")]
    smtp_listen: SocketAddr,

    /// Let other machines reach these parts, which protect nothing.
    #[arg(long, env = "AGENTKEYS_ALLOW_NON_LOOPBACK")]
    allow_non_loopback: bool,

    /// The folder of everything that lasts; objects are kept in `s3` below it.
    ///
    /// `$XDG_STATE_HOME/agentkeys/dev` unless given.
    #[arg(long, env = "AGENTKEYS_STATE")]
    state: Option<PathBuf>,

    #[arg(long, env = "XDG_STATE_HOME", hide = true)]
    xdg_state_home: Option<PathBuf>,

    /// The broker whose sessions the development signer takes: the exact `iss` of their tokens.
    #[arg(long, env = "AGENTKEYS_BROKER_URL", default_value = "http://127.0.0.1:8470")]
    broker_url: String,

    /// The issuers whose web identities the AWS stand-in takes.
    ///
    /// The broker's unless given.
    #[arg(long, env = "AGENTKEYS_TRUST_ISSUER", value_delimiter = ',')]
    trust_issuer: Vec<String>,

    /// The audiences that their tokens may be for.
    #[arg(long, env = "AGENTKEYS_TRUST_AUDIENCE", value_delimiter = ',', default_value = "sts.amazonaws.com")]
    trust_audience: Vec<String>,

    /// The role that can be assumed at the AWS stand-in.
    #[arg(long, env = "AGENTKEYS_ROLE_ARN", default_value = AwsConfig::DEFAULT_ROLE_ARN)]
    role_arn: String,

    /// The bucket of the AWS stand-in.
    #[arg(long, env = "AGENTKEYS_BUCKET", default_value = AwsConfig::DEFAULT_BUCKET)]
    bucket: String,

    /// The shortest session that the AWS stand-in can be asked for, in seconds; a test may want less than AWS gives.
    #[arg(long, env = "AGENTKEYS_AWS_SHORTEST_SESSION", value_name = "SECONDS", default_value_t = AwsConfig::SHORTEST_SESSION.as_secs())]
    aws_shortest_session: u64,

    /// The length of a session where none is asked for, in seconds.
    #[arg(long, env = "AGENTKEYS_AWS_DEFAULT_SESSION", value_name = "SECONDS", default_value_t = AwsConfig::DEFAULT_SESSION.as_secs())]
    aws_default_session: u64,

    /// What to log, such as `debug` or `warn,agentkeys_mock_server=debug`.
    #[arg(long, env = "AGENTKEYS_LOG", default_value = "info")]
    log: String,
}

impl Arguments {
    fn check(&self) -> anyhow::Result<()> {
        let addresses = [self.listen, self.aws_listen, self.smtp_listen];
        if let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback() && !self.allow_non_loopback) {
            bail!(
                "{open} is not a loopback address: these parts protect nothing (--allow-non-loopback overrides this)"
            );
        }
        Ok(())
    }

    fn state(&self) -> anyhow::Result<PathBuf> {
        if let Some(state) = &self.state {
            return Ok(state.clone());
        }
        // The XDG base directory specification has relative paths ignored.
        let from_xdg = self.xdg_state_home.clone().filter(|home| home.is_absolute());
        let home = from_xdg.or_else(|| Some(std::env::home_dir()?.join(".local/state")));
        Ok(home.context("there is no home folder: name a folder with --state")?.join("agentkeys/dev"))
    }

    fn aws(&self, state: &Path) -> AwsConfig {
        let trust = |issuer: &String| Trust { issuer: issuer.clone(), audiences: self.trust_audience.clone() };
        AwsConfig {
            listen: self.aws_listen,
            data: state.join("s3"),
            role_arn: self.role_arn.clone(),
            bucket: self.bucket.clone(),
            trusted: if self.trust_issuer.is_empty() {
                vec![trust(&self.broker_url)]
            } else {
                self.trust_issuer.iter().map(trust).collect()
            },
            shortest_session: Duration::from_secs(self.aws_shortest_session),
            default_session: Duration::from_secs(self.aws_default_session),
        }
    }
}

fn main() -> anyhow::Result<()> {
    agentkeys_memory::close_process().context("the system does not let the process protect itself")?;
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_new(&arguments.log).context("--log")?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    arguments.check()?;
    #[cfg(feature = "dev-key-service")]
    let keys = development_signer::keys()?;
    // The main thread waits from here on, and would keep what reading the secret has left on its stack.
    agentkeys_memory::clear_residue();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().on_thread_park(agentkeys_memory::clear_residue).build()?;
    runtime.block_on(serve(
        arguments,
        #[cfg(feature = "dev-key-service")]
        keys,
    ))
}

async fn serve(arguments: Arguments, #[cfg(feature = "dev-key-service")] keys: DevKeyService) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    let state = arguments.state()?;
    #[cfg(feature = "dev-key-service")]
    let signer = development_signer::open(keys, &arguments.broker_url, &state, clock.clone()).await?;
    let aws = AwsStandIn::start(arguments.aws(&state), clock.clone()).await?;
    let mailbox = Mailbox::new(clock);
    let smtp = SmtpListener::start(mailbox.clone(), arguments.smtp_listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.smtp_listen))?;
    // The routes of everything that listens at `--listen` come together here.
    let mut server = Server::bind("mock-server", arguments.listen).await?;
    if let Some(url) = &arguments.public_url {
        server.allow_url(url.as_str().trim_end_matches('/'));
    }
    let routes = mailbox.router();
    #[cfg(feature = "dev-key-service")]
    let routes = routes.merge(agentkeys_signer::router(signer, &mut server));
    tracing::warn!(address = %server.address(), "DEV ONLY: development parts listen");
    let pages = server.serve(routes);

    told_to_stop().await.context("cannot wait for signals")?;
    tokio::join!(pages.stop(), smtp.stop(), aws.stop());
    Ok(())
}

/// Completes at Ctrl-C, and where there are signals at SIGTERM.
async fn told_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
