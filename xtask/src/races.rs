use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{bench, invocation, workspace::Workspace};

/// The flags of `cargo xtask races`.
#[derive(Args)]
pub(crate) struct Races {
    /// Give one of the brokers a store of its own: a fault that must be found
    #[arg(long)]
    plant: bool,

    /// How many rounds of each kind
    #[arg(long, default_value_t = 1000)]
    rounds: u32,
}

impl Races {
    /// `cargo xtask races`: many requests at real brokers for what may be had once or a few times.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        let bin = bench::build(workspace)?;
        let mut races = workspace.command(&bin.join("agentkeys-bench").to_string_lossy(), &["races", "--bin"]);
        races.arg(bin).args(["--rounds", &self.rounds.to_string()]);
        if self.plant {
            races.arg("--plant");
        }
        invocation::run(&mut races)?;
        Ok(ExitCode::SUCCESS)
    }
}
