use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use crate::{
    console::step,
    invocation,
    parts::{Parts, swtpm::Swtpm},
    workspace::Workspace,
};

/// `cargo xtask bench`: rates, latencies and memory of the real servers and the daemon against the bound of each
/// request.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut parts = Parts::install_only(vec![Box::new(Swtpm)], workspace)?;
    parts.start(workspace);
    let bin = build(workspace)?;
    let mut bench = workspace.command(&bin.join("agentkeys-bench").to_string_lossy(), &["report", "--bin"]);
    invocation::run(bench.arg(bin).envs(parts.environment()))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the servers and what measures them as they are released; gives their folder.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let packages = [
        "agentkeys-broker",
        "agentkeys-mock-server",
        "agentkeys-daemon",
        "agentkeys-cli",
        "agentkeys-tee-worker",
        "agentkeys-bench",
    ];
    let mut build = workspace.cargo(&["build", "--release"]);
    build.args(packages.iter().flat_map(|package| ["--package", package]));
    step("build", || invocation::run(&mut build))?;
    workspace.target("release")
}
