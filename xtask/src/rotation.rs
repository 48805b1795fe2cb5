use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{bench, invocation, workspace::Workspace};

/// The flags of `cargo xtask rotation`.
#[derive(Args)]
pub(crate) struct Rotation {
    /// Drop the previous keys at each rotation: a fault that must be found
    #[arg(long)]
    plant: bool,

    /// For how long
    #[arg(long, default_value_t = 600)]
    seconds: u32,
}

impl Rotation {
    /// `cargo xtask rotation`: real keys under real load, rotated again and again.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        let bin = bench::build(workspace)?;
        let mut rotation = workspace.command(&bin.join("agentkeys-bench").to_string_lossy(), &["rotation", "--bin"]);
        rotation.arg(bin).args(["--seconds", &self.seconds.to_string()]);
        if self.plant {
            rotation.arg("--plant");
        }
        invocation::run(&mut rotation)?;
        Ok(ExitCode::SUCCESS)
    }
}
