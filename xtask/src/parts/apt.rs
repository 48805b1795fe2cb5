use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::geteuid;

use crate::invocation::{is_installed, output_of, run_quietly};

/// Installs Debian packages, where this process may.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    ensure!(is_installed("apt-get"), "not installed, and there is no apt-get to install it with");
    ensure!(geteuid().is_root(), "not installed, and only root may: apt-get install {}", packages.join(" "));
    // `update` waits for nobody's lock, and mirrors have bad moments: once more, then.
    update_and_install(packages).or_else(|_| update_and_install(packages))
}

/// What `apt-cache` says that a package depends on.
pub(crate) fn dependencies_of(package: &str) -> Result<String> {
    let mut ask = Command::new("apt-cache");
    ask.args(["depends", package]);
    output_of(&mut ask).or_else(|_| {
        run_quietly(apt_get().args(["update"]))?;
        output_of(&mut ask)
    })
}

/// Gets a Debian package as a file, without installing it; quick where its newest version is in `folder` already.
pub(crate) fn download(package: &str, folder: &Path) -> Result<PathBuf> {
    ensure!(is_installed("apt-get"), "there is no apt-get to download {package} with");
    download_listed(package, folder).or_else(|_| {
        run_quietly(apt_get().args(["update"]))?;
        download_listed(package, folder)
    })
}

/// Gets one file of Debian's archives, whichever release is installed here, from the first of `addresses` that has it;
/// quick where `file` is there.
pub(crate) fn download_exactly(addresses: &[&str], sha256: &str, file: &Path) -> Result<()> {
    const HELPER: &str = "/usr/lib/apt/apt-helper";
    if file.exists() {
        return Ok(());
    }
    ensure!(Path::new(HELPER).exists(), "there is no apt to download {} with", addresses.join(" or "));
    let mut failures = Vec::new();
    for address in addresses {
        // Fails where the file is another, and then leaves it under another name.
        let mut download = Command::new(HELPER);
        download.args(["-o", "APT::Sandbox::User=root", "download-file", address]).arg(file);
        match run_quietly(download.arg(format!("SHA256:{sha256}"))) {
            Ok(()) => return Ok(()),
            Err(failure) => failures.push(format!("{failure:#}")),
        }
    }
    bail!("{}", failures.join("\n"))
}

fn download_listed(package: &str, folder: &Path) -> Result<PathBuf> {
    // Elsewhere: of a file that is here already it prints nothing.
    let printed = output_of(apt_get().args(["download", "--print-uris", package]).current_dir("/"))?;
    // 'http://…' FILE SIZE CHECKSUM
    let name = printed.split_whitespace().nth(1).with_context(|| format!("apt-get knows no {package}"))?;
    let file = folder.join(name);
    if !file.exists() {
        // As root: the folder need not be open to the user that apt would be otherwise.
        let mut download = apt_get();
        download.args(["-o", "APT::Sandbox::User=root", "download", package]).current_dir(folder);
        run_quietly(&mut download)?;
    }
    Ok(file)
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
