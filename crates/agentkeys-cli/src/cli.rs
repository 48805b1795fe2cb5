use std::{path::PathBuf, process::ExitCode, time::Duration};

use agentkeys_client::{Exit, ProfileName, ServerUrl, StoreChoice, StoreKey};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::{commands, duration, error::CliError, failure::Failure, output::Output};

/// Credentials for AI agents that live for minutes, from one sign-in by a person.
#[derive(Debug, Parser)]
#[command(name = "agentkeys", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Print one JSON document, errors included
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print results only, no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Never ask anything
    #[arg(long, global = true)]
    pub(crate) no_input: bool,

    /// The broker
    #[arg(long, global = true, env = "AGENTKEYS_BROKER_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) broker_url: Option<ServerUrl>,

    /// The signer
    #[arg(long, global = true, env = "AGENTKEYS_SIGNER_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) signer_url: Option<ServerUrl>,

    /// Use a signer on another machine though nothing attests what runs there
    #[arg(long, global = true)]
    pub(crate) allow_unattested_signer: bool,

    /// What is taken for a genuine signer: a policy, instead of the one beside the settings
    #[arg(long, global = true, env = "AGENTKEYS_ATTESTATION_POLICY", hide_env_values = true, value_name = "FILE")]
    pub(crate) attestation_policy: Option<PathBuf>,

    /// The key that must have signed the policy: the hex of its point, or a file with its PEM
    #[arg(long, global = true, env = "AGENTKEYS_RELEASE_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) release_key: Option<String>,

    /// Settings and session to use, by name
    #[arg(
        long,
        global = true,
        env = "AGENTKEYS_PROFILE",
        hide_env_values = true,
        default_value_t,
        value_name = "NAME"
    )]
    pub(crate) profile: ProfileName,

    /// Where the session is kept: keychain, file (encrypted) or memory (of one process)
    ///
    /// What `init` used is used by every later command.
    #[arg(long, global = true, env = "AGENTKEYS_STORE", hide_env_values = true, value_name = "STORE")]
    pub(crate) store: Option<StoreChoice>,

    /// Where the key of a session file comes from: systemd, kernel or passphrase
    ///
    /// systemd is the credential `agentkeys-session-key` of the unit, kernel a key in the kernel's keyring that is
    /// gone after a restart.
    #[arg(long, global = true, env = "AGENTKEYS_STORE_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) store_key: Option<StoreKey>,

    /// How long one request may take, such as 10s
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) timeout: Option<Duration>,

    /// Log more: -v what happens, -vv everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Whether to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What `agentkeys` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole system on this machine and walk it once, for development
    #[cfg(feature = "dev")]
    Dev(crate::dev::DevArgs),
    /// Sign in, derive and prove the wallet, and keep the session
    Init(commands::init::InitArgs),
    /// Show who is signed in, with which wallet, and for how long
    #[command(visible_alias = "status")]
    Whoami(commands::whoami::WhoamiArgs),
    /// End a session at once, and say whom that reached
    Revoke(commands::revoke::RevokeArgs),
    /// Revoke the session and forget it
    Logout(commands::logout::LogoutArgs),
    /// The sessions of the account
    #[command(subcommand)]
    Sessions(commands::sessions::SessionsCommand),
    /// The identities that open the account
    #[command(subcommand)]
    Identities(commands::identities::IdentitiesCommand),
    /// What the signer shows of where it runs, and the policy by which it is judged
    #[command(subcommand)]
    Attestation(commands::attestation::AttestationCommand),
    /// The devices that may have something signed for the account, where the signer pins them
    #[command(subcommand)]
    Devices(commands::devices::DevicesCommand),
    /// The agents that act for the account, each with what it may have
    #[command(subcommand)]
    Agent(commands::agent::AgentCommand),
    /// Have another program act as an agent, by its settings
    #[command(subcommand)]
    Setup(commands::setup::SetupCommand),
    /// Temporary AWS credentials
    #[command(subcommand)]
    Aws(commands::aws::AwsCommand),
    /// Print a JWT for whoever trusts the broker, or keep it in a file
    Token(commands::token::TokenArgs),
    /// Run a program that gets credentials from here for as long as it runs
    Run(commands::run::RunArgs),
    /// The daemon that keeps credentials fresh on this machine
    #[command(subcommand)]
    Daemon(commands::daemon::DaemonCommand),
    /// Give an agent the tools of the Model Context Protocol, on standard input and output
    Mcp(commands::mcp::McpArgs),
    /// Find what keeps this from working, and tokens that lie where they must not
    Doctor(commands::doctor::DoctorArgs),
    /// What a signer has signed, by its log
    #[command(subcommand)]
    Audit(commands::audit::AuditCommand),
    /// Shares of a worker's backup, for those who hold one
    #[command(subcommand)]
    Backup(commands::backup::BackupCommand),
    /// The signer, as somebody who runs or writes one looks at it
    #[command(subcommand)]
    Signer(commands::signer::SignerCommand),
    /// The servers
    #[cfg(feature = "dev")]
    #[command(subcommand)]
    Serve(commands::serve::ServeCommand),
    /// Print completions for a shell
    Completion(commands::completion::CompletionArgs),
    /// Print the manual page, or write one for every command
    Man(commands::man::ManArgs),
    /// Print a page of the reference
    #[command(hide = true, subcommand)]
    Docs(commands::docs::DocsCommand),
}

impl Command {
    /// Whether it runs until it is told to stop, so that its log is worth reading.
    pub(crate) fn is_server(&self) -> bool {
        match self {
            Self::Daemon(commands::daemon::DaemonCommand::Run(_)) => true,
            #[cfg(feature = "dev")]
            Self::Serve(_) => true,
            _ => false,
        }
    }

    /// Whether its exit code is that of a program that it runs.
    pub(crate) fn stands_for_a_program(&self) -> bool {
        matches!(self, Self::Run(_))
    }

    /// Takes out of the environment what is for this process alone, before there are threads.
    pub(crate) fn take_from_environment(&mut self) -> Result<(), CliError> {
        match self {
            Self::Daemon(commands::daemon::DaemonCommand::Run(args)) => Ok(args.take_over()?),
            #[cfg(feature = "dev")]
            Self::Dev(args) => Ok(args.take_master_secret()?),
            _ => Ok(()),
        }
    }

    /// Whether it holds secrets of many people, and each only while it answers them.
    pub(crate) fn serves_many(&self) -> bool {
        match self {
            #[cfg(feature = "dev")]
            Self::Dev(_) | Self::Serve(_) => true,
            _ => false,
        }
    }
}

/// Ends a call that could not be read: with help, the version or what is wrong with it.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    let before_program = std::env::args_os().take_while(|argument| argument != "--");
    let is_json = before_program.into_iter().any(|argument| argument == "--json");
    let mut failure = Failure::usage(error);
    if error.use_stderr() && asks_for_a_program() {
        failure = failure.before_the_program();
    }
    if is_json && error.use_stderr() {
        Output::for_programs().failure(&failure);
    } else {
        // A reader that has gone away is no failure of ours.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { failure.exit } else { Exit::Ok.code() })
}

/// Whether the call is one of `agentkeys run`, whatever else is wrong with it.
fn asks_for_a_program() -> bool {
    let matches = Cli::command().ignore_errors(true).try_get_matches();
    matches.is_ok_and(|matches| matches.subcommand_name() == Some("run"))
}
