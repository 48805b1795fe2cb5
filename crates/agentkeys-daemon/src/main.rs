//! `agentkeys-daemon`: the daemon as a process of its own, for service managers.

use std::{io, process::ExitCode, sync::Arc};

use agentkeys_client::{ClientError, Exit, Places, Renewal, StorageError};
use agentkeys_daemon::{DaemonArgs, RunError, ServiceManager, run};
use agentkeys_memory::WipingAllocator;
use agentkeys_types::SystemClock;
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
    let manager = ServiceManager::take().map_err(RunError::Process);
    let Cli { daemon, log } = Cli::parse();
    tracing_subscriber::fmt().with_env_filter(log).with_writer(io::stderr).init();

    let places = Places::from_environment();
    let outcome = closed.and_then(|()| runtime()).map_err(RunError::Process).and_then(|runtime| {
        let sessions = daemon.open_store(&places)?;
        let renewal = Renewal::new(sessions, &places, &daemon.profile, Arc::new(SystemClock));
        runtime.block_on(run(daemon, &places, Arc::new(renewal), manager?))
    });
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

fn hint(error: &RunError) -> Option<String> {
    let text = match (error, error.exit()) {
        (RunError::Client(ClientError::Storage(error)), _) => return Some(storage_hint(error)),
        (_, Exit::SignInNeeded) => "sign in with `agentkeys init`",
        (RunError::Client(ClientError::UnattestedSigner { .. }), _) => {
            "where you trust the network and the machine, spell out `--allow-unattested-signer`"
        }
        (_, Exit::Unreachable) => "start the server, or point `--broker-url` and `--signer-url` at yours",
        _ => return None,
    };
    Some(text.to_owned())
}

fn storage_hint(error: &StorageError) -> String {
    let text = match error {
        StorageError::Insecure { advice, .. } => return advice.clone(),
        StorageError::KeyUnavailable(_) | StorageError::WrongKey { .. } => {
            "give the unit `LoadCredential=agentkeys-session-key:PATH` with the key of sign-in, \
             or start the daemon in a terminal where the key is a passphrase"
        }
        StorageError::KeyLost { .. } => "sign in anew with `agentkeys init`",
        StorageError::WrongPassphrase { .. } => "try again",
        StorageError::Damaged { .. } | StorageError::Malformed => {
            "`agentkeys init --new-device-key` replaces it, as another device"
        }
        _ => "unlock the keychain, or start one, or sign in with `agentkeys init --store file`",
    };
    text.to_owned()
}
