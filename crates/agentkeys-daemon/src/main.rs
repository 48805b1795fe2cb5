//! `agentkeys-daemon`: the daemon as a process of its own, for service managers.

use std::{io, process::ExitCode};

use agentkeys_client::{ClientError, Exit, KeychainStore, Places};
use agentkeys_daemon::{DaemonArgs, RunError, run};
use agentkeys_memory::WipingAllocator;
use clap::Parser;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

/// Keeps one person's AWS credentials fresh and hands them to the agents of this machine.
#[derive(Debug, Parser)]
#[command(name = "agentkeys-daemon", version)]
struct Cli {
    #[command(flatten)]
    daemon: DaemonArgs,

    /// What to log, such as `debug` or `agentkeys_daemon=debug`.
    #[arg(long, env = "AGENTKEYS_LOG", default_value = "info", value_name = "FILTER")]
    log: EnvFilter,
}

fn main() -> ExitCode {
    let closed = agentkeys_memory::close_process();
    agentkeys_memory::keep_secrets_apart();
    let Cli { daemon, log } = Cli::parse();
    tracing_subscriber::fmt().with_env_filter(log).with_writer(io::stderr).init();

    let outcome = closed
        .and_then(|()| runtime())
        .map_err(RunError::Process)
        .and_then(|runtime| runtime.block_on(run(daemon, &Places::from_environment(), &KeychainStore)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit().code())
        }
    }
}

/// One thread is plenty for one person, and each further one would cost memory.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().on_thread_park(agentkeys_memory::clear_residue).build()
}

#[expect(clippy::print_stderr, reason = "the one message of a daemon that does not run")]
fn report(error: &RunError) {
    eprintln!("error: {error}");
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
}

fn hint(error: &RunError) -> Option<&'static str> {
    match (error, error.exit()) {
        (_, Exit::SignInNeeded) => Some("sign in with `agentkeys init`"),
        (_, Exit::StoreUnavailable) => Some("unlock the keychain, or start one, and try again"),
        (RunError::Client(ClientError::UnattestedSigner { .. }), _) => {
            Some("where you trust the network and the machine, spell out `--allow-unattested-signer`")
        }
        (_, Exit::Unreachable) => Some("start the server, or point `--broker-url` and `--signer-url` at yours"),
        _ => None,
    }
}
