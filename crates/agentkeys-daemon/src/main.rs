//! `agentkeys-daemon`: the daemon as a process of its own, for service managers.

use std::process::ExitCode;

use agentkeys_client::{ClientError, Exit, KeychainStore, Places};
use agentkeys_daemon::{DaemonArgs, RunError, run};
use clap::Parser;
use tracing_subscriber::EnvFilter;

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
    let Cli { daemon, log } = Cli::parse();
    tracing_subscriber::fmt().with_env_filter(log).with_writer(std::io::stderr).init();

    // One thread is plenty for one person, and each further one would cost memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Process);
    let outcome =
        runtime.and_then(|runtime| runtime.block_on(run(daemon, &Places::from_environment(), &KeychainStore)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit().code())
        }
    }
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
