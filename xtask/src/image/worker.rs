use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{console::step, invocation, workspace::Workspace};

const PACKAGE: &str = "agentkeys-tee-worker";
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// A static program finds no symbol of the C library at run time: without this it would open a file for random numbers,
/// and may open none.
const RANDOM: &str = "--cfg=getrandom_backend=\"linux_getrandom\"";
/// What separates words where they may contain spaces.
const SEPARATOR: &str = "\x1f";

/// Builds the worker as the image holds it: static, and without a trace of where it was built.
pub(super) fn build(workspace: &Workspace, cargo_home: &Path, target: &Path, profile: &str) -> Result<PathBuf> {
    let hidden = [(target, "/target"), (cargo_home, "/cargo"), (workspace.root(), "/agentkeys")];
    let prefixes = hidden.map(|(path, name)| format!("{}={name}", path.display()));
    let mut rust = vec!["-Ctarget-feature=+crt-static".to_owned(), RANDOM.to_owned()];
    rust.extend(prefixes.iter().rev().map(|prefix| format!("--remap-path-prefix={prefix}")));
    let c: Vec<_> = prefixes.iter().rev().map(|prefix| format!("-ffile-prefix-map={prefix}")).collect();
    let arguments = ["build", "--locked", "--no-default-features", "--profile", profile, "--target", TARGET];
    let mut build = workspace.cargo(&arguments);
    build.args(["--package", PACKAGE, "--bin", PACKAGE, "--target-dir"]).arg(target);
    build.env("CARGO_ENCODED_RUSTFLAGS", rust.join(SEPARATOR));
    build.env("CFLAGS", c.join(" ")).env("CARGO_INCREMENTAL", "0").env_remove("RUSTFLAGS");
    step("static worker", || invocation::run(&mut build))?;
    Ok(target.join(TARGET).join(profile).join(PACKAGE))
}

/// Has the worker itself say whether it could run with these settings.
pub(super) fn check(binary: &Path, config: &Path) -> Result<()> {
    let mut check = Command::new(binary);
    invocation::run_quietly(check.arg("--config").arg(config).arg("--check").env_clear())
}
