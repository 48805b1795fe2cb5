use std::process::ExitCode;

use anyhow::Result;

use crate::{
    console::step,
    docs, invocation, repository,
    runner::{Runner, WITHOUT_DEVELOPMENT_SIGNER},
    tools::{DENY, MACHETE},
    workspace::Workspace,
};

/// `cargo xtask check`: everything that needs no real part.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    guards(workspace)?;
    step("tests", || invocation::run(&mut Runner::installed(workspace).without_parts(workspace)))?;
    Ok(ExitCode::SUCCESS)
}

/// All of `check` but the tests themselves; the quick ones first.
pub(crate) fn guards(workspace: &Workspace) -> Result<()> {
    step("format", || invocation::run(&mut workspace.cargo(&["fmt", "--all", "--check"])))?;
    step("repository", || repository::check(workspace))?;
    unused_dependencies(workspace)?;
    dependencies(workspace)?;
    step("clippy", || clippy(workspace))?;
    step("without the development signer", || without_development_signer(workspace))?;
    step("rustdoc", || rustdoc(workspace))?;
    workspace.build()?;
    step("reference", || docs::check(workspace))?;
    step("doc tests", || invocation::run(&mut workspace.cargo(&["test", "--workspace", "--doc", "--quiet"])))
}

fn unused_dependencies(workspace: &Workspace) -> Result<()> {
    let mut machete = MACHETE.command(workspace, &["crates", "xtask"])?;
    step("unused dependencies", || invocation::run(&mut machete))
}

fn dependencies(workspace: &Workspace) -> Result<()> {
    let mut deny = DENY.command(workspace, &["--locked", "check", "bans", "licenses", "sources"])?;
    step("dependencies", || invocation::run(&mut deny))
}

/// Everything, and the command as it is released: without the servers.
fn clippy(workspace: &Workspace) -> Result<()> {
    for selection in [&["--workspace", "--all-targets"][..], &["--package", "agentkeys-cli", "--no-default-features"]] {
        let mut clippy = workspace.cargo(&["clippy"]);
        invocation::run(clippy.args(selection).args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// Everything, tests included, with no signer but the worker.
fn without_development_signer(workspace: &Workspace) -> Result<()> {
    let mut check = workspace.cargo(&["check", "--workspace", "--all-targets"]);
    invocation::run(check.args(WITHOUT_DEVELOPMENT_SIGNER))
}

fn rustdoc(workspace: &Workspace) -> Result<()> {
    let mut doc = workspace.cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
    invocation::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}
