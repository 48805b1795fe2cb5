//! The binary `agentkeys-tee-worker`: the signer in a trusted execution environment.

#![cfg(target_os = "linux")]

#[cfg(feature = "docs")]
mod docs;

use std::{net::SocketAddr, path::PathBuf};

use agentkeys_memory::WipingAllocator;
use agentkeys_tee_worker::{Config, init};
use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

/// The signer in a trusted execution environment. Its master secret is made and sealed inside.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The configuration.
    #[arg(long, env = "AGENTKEYS_WORKER_CONFIG", default_value = "/etc/agentkeys/worker.toml", value_name = "FILE")]
    config: PathBuf,

    /// Where it listens, instead of what the configuration says.
    #[arg(long, env = "AGENTKEYS_LISTEN")]
    listen: Option<SocketAddr>,

    /// The folder of the sealed master secret and of the signing log, instead of what the configuration says.
    #[arg(long, env = "AGENTKEYS_STATE", value_name = "FOLDER")]
    state: Option<PathBuf>,

    /// The TPM, instead of what the configuration says: a device, `unix:PATH` or `tcp:HOST:PORT`.
    #[arg(long, env = "AGENTKEYS_TPM")]
    tpm: Option<String>,

    /// Sign any message, as `allow_any_message` does. The evidence shows it.
    #[arg(long)]
    allow_any_message: bool,

    /// Check the configuration, and end.
    #[arg(long)]
    check: bool,

    /// What to log, such as `debug` or `warn,agentkeys_tee_worker=debug`.
    #[arg(long, env = "AGENTKEYS_LOG", default_value = "info")]
    log: String,

    #[cfg(feature = "docs")]
    #[command(subcommand)]
    command: Option<Command>,
}

#[cfg(feature = "docs")]
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Prints a page of the reference.
    #[command(hide = true)]
    Docs {
        #[arg(value_enum)]
        page: docs::Page,
    },
}

fn main() -> anyhow::Result<()> {
    if init::is_first_process() {
        return init::run();
    }
    agentkeys_memory::close_process().context("the system does not let the process protect itself")?;
    let arguments = Arguments::parse();
    #[cfg(feature = "docs")]
    if let Some(Command::Docs { page }) = arguments.command {
        return page.print();
    }
    let filter = EnvFilter::try_new(&arguments.log).context("--log")?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut config = Config::load(&arguments.config)?;
    config.listen = arguments.listen.unwrap_or(config.listen);
    config.state = arguments.state.unwrap_or(config.state);
    config.tpm = arguments.tpm.unwrap_or(config.tpm);
    config.allow_any_message |= arguments.allow_any_message;
    config.check()?;
    if arguments.check {
        tracing::info!(config = %arguments.config.display(), "the configuration can be used");
        return Ok(());
    }
    agentkeys_tee_worker::run(config, &arguments.config)
}
