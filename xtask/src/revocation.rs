use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{bench, invocation, workspace::Workspace};

/// The flags of `cargo xtask revocation`.
#[derive(Args)]
pub(crate) struct Revocation {
    /// A fault that must be found: `session` or `restore`
    #[arg(long)]
    plant: Option<String>,

    /// How many sessions are revoked
    #[arg(long, default_value_t = 5000)]
    trials: u32,
}

impl Revocation {
    /// `cargo xtask revocation`: sessions that are in use are revoked at real servers, which then crash and are restored.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        let bin = bench::build(workspace)?;
        let mut bench = workspace.command(&bin.join("agentkeys-bench").to_string_lossy(), &["revocation", "--bin"]);
        bench.arg(bin).args(["--trials", &self.trials.to_string()]);
        if let Some(plant) = &self.plant {
            bench.args(["--plant", plant]);
        }
        invocation::run(&mut bench)?;
        Ok(ExitCode::SUCCESS)
    }
}
