use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{console::step, invocation, workspace::Workspace};

/// The flags of `cargo xtask timing`.
#[derive(Args)]
pub(crate) struct Timing {
    /// How many samples each pair is judged by
    #[arg(long, default_value_t = 200_000)]
    samples: usize,
}

impl Timing {
    /// `cargo xtask timing`: whether time tells secrets apart, on the code as it is released.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        let mut build = workspace.cargo(&["build", "--release", "--package", "agentkeys-bench"]);
        step("build", || invocation::run(&mut build))?;
        let bench = workspace.target("release")?.join("agentkeys-bench");
        let samples = self.samples.to_string();
        invocation::run(&mut workspace.command(&bench.to_string_lossy(), &["timing", "--samples", &samples]))?;
        Ok(ExitCode::SUCCESS)
    }
}
