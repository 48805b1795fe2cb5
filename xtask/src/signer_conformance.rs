use std::process::ExitCode;

use anyhow::Result;

use crate::{
    console::step,
    invocation,
    parts::{Parts, swtpm::Swtpm},
    workspace::Workspace,
};

/// `cargo xtask signer-conformance`: the same checks, held against the development signer and the TEE worker.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut parts = Parts::install_only(vec![Box::new(Swtpm)], workspace)?;
    parts.start(workspace);
    let mut build = workspace.cargo(&["build", "--workspace", "--bins"]);
    step("build", || invocation::run(&mut build))?;
    let environment: Vec<_> = parts.environment().collect();
    for (signer, module) in [
        ("the development signer", "conformance::development::"),
        ("the TEE worker, on a TPM in software", "conformance::worker::"),
    ] {
        let mut checks = workspace.cargo(&["test", "--package", "agentkeys-testing", "--test", "real_parts"]);
        checks.args(["--", "--include-ignored", "--nocapture", module]).envs(environment.iter().cloned());
        step(signer, || invocation::run(&mut checks))?;
    }
    Ok(ExitCode::SUCCESS)
}
