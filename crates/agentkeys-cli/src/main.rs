//! The `agentkeys` command: signs a person in, and hands out credentials that live for minutes.
//!
//! [`Cli`] is what can be typed, [`commands`] has one file for each command, and `dev` the whole system
//! in one process. A command gets a [`Context`](context::Context) and prints by its [`Output`] only;
//! what goes wrong is a [`CliError`](error::CliError), which [`Failure`] puts into words.

mod aws_config;
mod browser;
mod child;
mod cli;
mod commands;
mod context;
#[cfg(feature = "dev")]
mod dev;
mod dispensary;
mod duration;
mod edits;
mod error;
mod failure;
mod interruption;
mod kept_token;
mod logging;
mod output;
mod progress;
mod public_file;
mod random_name;
mod surroundings;
mod text_file;

use std::{io, process::ExitCode};

use agentkeys_memory::WipingAllocator;
use clap::Parser;

use crate::{cli::Cli, failure::Failure, output::Output};

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

fn main() -> ExitCode {
    let closed = agentkeys_memory::close_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::refuse(&error),
    };
    let output = Output::new(&cli.global);
    let stands_for_a_program = cli.command.stands_for_a_program();
    match run(closed, cli, &output) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let failure = if stands_for_a_program { failure.before_the_program() } else { failure };
            output.failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

fn run(closed: io::Result<()>, mut cli: Cli, output: &Output) -> Result<u8, Failure> {
    if !cli.command.serves_many() {
        agentkeys_memory::keep_secrets_apart();
    }
    logging::start(&cli, output)?;
    cli.command.take_from_environment().map_err(|error| Failure::of(&error, None))?;
    let runtime = closed.and_then(|()| runtime()).map_err(|error| Failure::of(&error.into(), None))?;
    runtime.block_on(commands::run(cli, output))
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().on_thread_park(agentkeys_memory::clear_residue).build()
}
