use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use super::is_current;
use crate::{
    invocation::{is_installed, run_quietly},
    workspace::Workspace,
};

/// Installs everything that the tests borrow from npm, of which a part wants `wanted`, a path in `node_modules`.
pub(super) fn install(workspace: &Workspace, wanted: &str) -> Result<()> {
    let folder = workspace.target("parts/npm")?;
    let lock = fs::read_to_string(workspace.path("testdata/npm/package-lock.json"))?;
    let stamp = folder.join("installed");
    if !(is_current(&stamp, &lock) && modules(workspace)?.join(wanted).exists()) {
        install_anew(workspace, &folder)?;
        fs::write(stamp, lock)?;
    }
    Ok(())
}

/// The folder of what is installed.
pub(super) fn modules(workspace: &Workspace) -> Result<PathBuf> {
    Ok(workspace.target("parts/npm")?.join("node_modules"))
}

fn install_anew(workspace: &Workspace, folder: &Path) -> Result<()> {
    ensure!(is_installed("npm"), "needs Node.js 20 and npm");
    for file in ["package.json", "package-lock.json"] {
        fs::copy(workspace.path(&format!("testdata/npm/{file}")), folder.join(file))?;
    }
    let mut npm = Command::new("npm");
    run_quietly(npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder))
}
