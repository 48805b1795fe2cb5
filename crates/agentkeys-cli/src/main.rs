//! The `agentkeys` command: signs a person in, and hands out credentials that live for minutes.
//!
//! [`Cli`] is what can be typed, [`commands`] has one file for each command, and `dev` the whole system
//! in one process. A command gets a [`Context`](context::Context) and prints by its [`Output`] only;
//! what goes wrong is a [`CliError`](error::CliError), which [`Failure`] puts into words.

mod cli;
mod commands;
mod context;
#[cfg(feature = "dev")]
mod dev;
mod duration;
mod error;
mod failure;
mod logging;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::{cli::Cli, failure::Failure, output::Output};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::refuse(&error),
    };
    let output = Output::new(&cli.global);
    match run(cli, &output) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

fn run(cli: Cli, output: &Output) -> Result<u8, Failure> {
    logging::start(&cli, output)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of(&error.into(), None))?;
    runtime.block_on(commands::run(cli, output))
}
