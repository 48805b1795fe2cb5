use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{
    console::step,
    invocation,
    parts::{Parts, swtpm::Swtpm},
    runner::{Runner, WITHOUT_DEVELOPMENT_SIGNER},
    workspace::Workspace,
};

/// The flags of `cargo xtask e2e`.
#[derive(Args)]
pub(crate) struct E2e {
    /// With the TEE worker on a TPM in software as the signer, and no development signer built
    #[arg(long)]
    worker: bool,
}

impl E2e {
    /// `cargo xtask e2e`: the real binaries, end to end.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        if self.worker {
            let mut parts = Parts::install_only(vec![Box::new(Swtpm)], workspace)?;
            parts.start(workspace);
            with_worker(workspace, &parts)?;
        } else {
            workspace.build()?;
            step("end to end", || invocation::run(&mut Runner::installed(workspace).end_to_end(workspace)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The same tests and binaries with the TEE worker as the signer, built without the development signer.
pub(crate) fn with_worker(workspace: &Workspace, parts: &Parts) -> Result<()> {
    let mut build = workspace.cargo(&["build", "--workspace", "--bins", "--test", "end_to_end"]);
    step("build without the development signer", || invocation::run(build.args(WITHOUT_DEVELOPMENT_SIGNER)))?;
    let mut tests = Runner::installed(workspace).end_to_end_with_worker(workspace);
    step("end to end, with the worker", || invocation::run(tests.envs(parts.environment())))
}
