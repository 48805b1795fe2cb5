//! Measures the real servers against the physical bound of each request, in one run on one machine.
//!
//! The bound of a request is the CPU time of an empty JSON POST on the same server stack plus that of the bare
//! cryptography it cannot avoid. Servers run as processes of their own, so that their CPU time is theirs alone.

mod bare;
mod bound;
mod daemon;
mod empty;
mod load;
mod process;
mod races;
mod report;
mod revocation;
mod rotation;
mod scenarios;
mod system;
mod timing;
mod walk;
mod worker;

use std::path::PathBuf;

use clap::Parser;
use tokio::runtime;

use crate::system::System;

/// Measures the real servers against the physical bound of each request.
#[derive(Debug, Parser)]
enum Bench {
    /// Measures everything and prints the table.
    Report {
        /// The folder of the servers' binaries.
        #[arg(long)]
        bin: PathBuf,
        /// How many requests each rate is taken from.
        #[arg(long, default_value_t = 20_000)]
        requests: usize,
    },
    /// Has many requests race for what may be had once or a few times, and counts who got it.
    Races(races::Races),
    /// Revokes sessions that are in use, and counts where they are still accepted.
    Revocation(revocation::Revocation),
    /// Rotates the signing keys again and again while tokens are made and verified, and counts failures.
    Rotation(rotation::Rotation),
    /// Looks whether time tells secrets apart.
    Timing {
        /// How many samples each pair is judged by.
        #[arg(long, default_value_t = 200_000)]
        samples: usize,
        /// Measure only the pair of this number.
        #[arg(long)]
        pair: Option<usize>,
    },
    /// Measures the daemon alone: its doors, the command that asks it, and its rest.
    Daemon {
        /// The folder of the binaries.
        #[arg(long)]
        bin: PathBuf,
    },
    /// Measures the TEE worker alone, against the development signer.
    Worker {
        /// The folder of the binaries.
        #[arg(long)]
        bin: PathBuf,
        /// How many requests each rate is taken from.
        #[arg(long, default_value_t = 20_000)]
        requests: usize,
    },
    /// Answers so many bytes with so many.
    #[command(hide = true)]
    Echo(daemon::Echo),
    /// Serves an empty JSON POST on the servers' own stack.
    #[command(hide = true)]
    EmptyServer {
        #[arg(long)]
        listen: std::net::SocketAddr,
    },
}

fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    // The daemon too has one thread.
    let mut runtime = match bench {
        Bench::Echo(_) => runtime::Builder::new_current_thread(),
        _ => runtime::Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(run(bench))
}

async fn run(bench: Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Report { bin, requests } => scenarios::run(&bin, requests).await,
        Bench::Races(races) => races.run().await,
        Bench::Revocation(revocation) => revocation.run().await,
        Bench::Rotation(rotation) => rotation.run().await,
        Bench::Timing { samples, pair } => timing::run(samples, pair).await,
        Bench::Daemon { bin } => daemon::report(&System::start(&bin).await?).await,
        Bench::Worker { bin, requests } => worker::report(&System::start(&bin).await?, requests).await,
        Bench::Echo(echo) => echo.serve().await,
        Bench::EmptyServer { listen } => empty::serve(listen).await,
    }
}
