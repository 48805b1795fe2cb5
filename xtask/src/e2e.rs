use std::process::ExitCode;

use anyhow::Result;

use crate::{console::step, invocation, runner::Runner, workspace::Workspace};

/// `cargo xtask e2e`: the real binaries, end to end.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    workspace.build()?;
    step("end to end", || invocation::run(&mut Runner::installed(workspace).end_to_end(workspace)))?;
    Ok(ExitCode::SUCCESS)
}
