//! The broker as a server of its own.

mod keys;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use agentkeys_broker::{Config, start};
use agentkeys_memory::WipingAllocator;
use agentkeys_types::{Clock, SystemClock};
use anyhow::Context;
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

/// Signs people in and mints the tokens that clouds trust.
#[derive(Debug, Parser)]
#[command(name = "agentkeys-broker", version)]
struct Arguments {
    /// The settings, a TOML file. Without one, everything is for development on loopback.
    #[arg(long, env = "AGENTKEYS_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The folder of the store and the signing keys.
    #[arg(long, env = "AGENTKEYS_STATE", value_name = "FOLDER", global = true)]
    state: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, env = "AGENTKEYS_LISTEN")]
    listen: Option<std::net::SocketAddr>,
    /// Where Prometheus finds the metrics.
    #[arg(long, env = "AGENTKEYS_METRICS_LISTEN")]
    metrics_listen: Option<std::net::SocketAddr>,
    /// Which log lines to write, such as `info` or `agentkeys_broker=debug`.
    #[arg(long, env = "AGENTKEYS_LOG", default_value = "info")]
    log: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints a page of the reference.
    #[command(hide = true)]
    Docs {
        #[arg(value_enum)]
        page: Page,
    },
    /// Lists and rotates the signing keys.
    #[command(subcommand)]
    Keys(keys::Keys),
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Page {
    Openapi,
    Settings,
}

fn main() -> ExitCode {
    let closed = agentkeys_memory::close_process().context("the system does not let the process protect itself");
    let arguments = Arguments::parse();
    match closed.and_then(|()| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Some(Command::Docs { page }) => return print_page(*page),
        Some(Command::Keys(keys)) => return keys.run(&load(arguments)?.keys_folder(), SystemClock.now()),
        None => {}
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_new(&arguments.log).context("--log")?)
        .with_writer(std::io::stderr)
        .init();
    let config = load(arguments)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().on_thread_park(agentkeys_memory::clear_residue).build()?.block_on(serve(config))
}

fn load(arguments: &Arguments) -> anyhow::Result<Config> {
    let mut config = match &arguments.config {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Config::parse(&text).with_context(|| path.display().to_string())?
        }
        None => Config::default(),
    };
    if let Some(state) = &arguments.state {
        config.state.clone_from(state);
    }
    config.listen = arguments.listen.unwrap_or(config.listen);
    config.metrics_listen = arguments.metrics_listen.unwrap_or(config.metrics_listen);
    Ok(config)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let running = start(config, Arc::new(SystemClock)).await?;
    tokio::select! {
        stopped = stopped() => stopped?,
        failed = running.look_for_keys_at_every_hangup() => failed?,
    }
    tracing::info!("stopping: no new connections, the last answers leave");
    running.stop().await;
    Ok(())
}

/// Returns when the process is told to stop.
async fn stopped() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

#[expect(clippy::print_stdout, reason = "the page is the result of the command")]
fn print_page(page: Page) -> anyhow::Result<()> {
    match page {
        Page::Openapi => println!("{}", serde_json::to_string_pretty(&agentkeys_broker::routes::openapi())?),
        Page::Settings => print!("{}", agentkeys_broker::settings_page()),
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the process ends here")]
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
