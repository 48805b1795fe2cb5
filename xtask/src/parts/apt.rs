use std::process::Command;

use anyhow::{Result, ensure};
use rustix::process::geteuid;

use crate::invocation::{is_installed, run_quietly};

/// Installs Debian packages, where this process may.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    ensure!(is_installed("apt-get"), "not installed, and there is no apt-get to install it with");
    ensure!(geteuid().is_root(), "not installed, and only root may: apt-get install {}", packages.join(" "));
    // `update` waits for nobody's lock, and mirrors have bad moments: once more, then.
    update_and_install(packages).or_else(|_| update_and_install(packages))
}

fn update_and_install(packages: &[&str]) -> Result<()> {
    run_quietly(apt_get().args(["update"]))?;
    run_quietly(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "DPkg::Lock::Timeout=900"]);
    command
}
