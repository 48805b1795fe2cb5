//! One file for each command, named after it.

pub(crate) mod agent;
pub(crate) mod attestation;
pub(crate) mod audit;
pub(crate) mod aws;
pub(crate) mod backup;
mod code;
pub(crate) mod completion;
pub(crate) mod daemon;
pub(crate) mod devices;
pub(crate) mod docs;
pub(crate) mod doctor;
pub(crate) mod identities;
pub(crate) mod init;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod mcp;
pub(crate) mod revoke;
pub(crate) mod run;
mod screen;
#[cfg(feature = "dev")]
pub(crate) mod serve;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod signer;
pub(crate) mod token;
pub(crate) mod whoami;

use self::{attestation::AttestationCommand, backup::BackupCommand};
use crate::{
    cli::{Cli, Command},
    context::Context,
    error::CliError,
    failure::Failure,
    output::Output,
};

/// Does what was typed, and gives the code to exit with.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<u8, Failure> {
    let plain = |outcome: Result<(), CliError>| outcome.map(|()| 0).map_err(|error| Failure::of(&error, None));
    let command = match cli.command {
        Command::Completion(args) => {
            args.run(output);
            return Ok(0);
        }
        Command::Docs(command) => {
            command.run(output);
            return Ok(0);
        }
        // It looks at a file alone, on whatever machine that lies.
        Command::Audit(command) => return plain(command.run(output)),
        Command::Man(args) => return plain(args.run(output)),
        // For an operator, who may have neither settings nor a session here.
        Command::Attestation(AttestationCommand::Approve(args)) => return plain(args.run(output)),
        Command::Attestation(AttestationCommand::Keygen(args)) => return plain(args.run(output)),
        Command::Attestation(AttestationCommand::Policy(command)) => {
            return plain(command.run(cli.global.release_key.as_deref(), output));
        }
        // For a holder of a share, who may have neither settings nor a session here.
        Command::Backup(BackupCommand::Keygen(args)) => return plain(args.run(output)),
        // It has no use for the session, so nothing opens the store for it.
        Command::Mcp(args) => return plain(args.run(&cli.global).await),
        #[cfg(feature = "dev")]
        Command::Serve(command) => return plain(command.run().await),
        command => command,
    };
    let context = Context::load(&cli.global).map_err(|error| Failure::of(&error, None))?;
    let outcome = match command {
        #[cfg(feature = "dev")]
        Command::Dev(args) => args.run(&context, output).await,
        Command::Init(args) => args.run(&context, output).await.map(|()| 0),
        Command::Whoami(args) => args.run(&context, output).await.map(|()| 0),
        Command::Revoke(args) => args.run(&context, output).await.map(|()| 0),
        Command::Logout(args) => args.run(&context, output).await.map(|()| 0),
        Command::Sessions(command) => command.run(&context, output).await.map(|()| 0),
        Command::Identities(command) => command.run(&context, output).await.map(|()| 0),
        Command::Attestation(AttestationCommand::Show(args)) => Box::pin(args.run(&context, output)).await,
        Command::Backup(BackupCommand::Restore(args)) => args.run(&context, output).await.map(|()| 0),
        Command::Devices(command) => command.run(&context, output).await.map(|()| 0),
        Command::Agent(command) => command.run(&context, output).await.map(|()| 0),
        Command::Signer(command) => command.run(&context, output).await,
        Command::Setup(command) => command.run(&context, output).await.map(|()| 0),
        Command::Aws(command) => command.run(&context, output).await.map(|()| 0),
        Command::Token(args) => args.run(&context, output).await.map(|()| 0),
        Command::Run(args) => args.run(&context).await,
        Command::Daemon(command) => command.run(&context, output).await.map(|()| 0),
        Command::Doctor(args) => Ok(Box::pin(args.run(&context, output)).await),
        #[cfg(feature = "dev")]
        Command::Serve(_) => Ok(0),
        Command::Attestation(_)
        | Command::Audit(_)
        | Command::Backup(_)
        | Command::Completion(_)
        | Command::Man(_)
        | Command::Mcp(_)
        | Command::Docs(_) => Ok(0),
    };
    outcome.map_err(|error| Failure::of(&error, Some(&context)))
}
