use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{
    console::step,
    invocation,
    parts::{Part, Parts, gdb::Gdb, keyring::Keyring, swtpm::Swtpm},
    workspace::Workspace,
};

/// The flags of `cargo xtask memory-scan`.
#[derive(Args)]
pub(crate) struct MemoryScan {
    /// Scan optimized binaries, such as are shipped
    #[arg(long)]
    release: bool,
}

impl MemoryScan {
    /// `cargo xtask memory-scan`: what is left of tokens in the memory and the cores of the real binaries.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        let wanted: Vec<Box<dyn Part>> = vec![Box::new(Gdb), Box::new(Keyring), Box::new(Swtpm)];
        let mut parts = Parts::install_only(wanted, workspace)?;
        parts.start(workspace);
        let profile: &[&str] = if self.release { &["--release"] } else { &[] };
        let mut build = workspace.cargo(&["build", "--workspace", "--bins"]);
        step("build", || invocation::run(build.args(profile)))?;
        let mut scan = workspace.cargo(&["test", "--package", "agentkeys-testing", "--test", "real_parts"]);
        // One after the other, so that the figures are those of one process at a time.
        scan.args(profile).args(["--", "--include-ignored", "--nocapture", "--test-threads=1", "memory::"]);
        step("memory scan", || invocation::run(scan.envs(parts.environment())))?;
        Ok(ExitCode::SUCCESS)
    }
}
