use std::{fs, path::Path, process::Command};

use anyhow::{Result, ensure};

use super::{Part, Started, apt, is_current};
use crate::{
    invocation::{is_installed, run_quietly},
    workspace::Workspace,
};

/// A virtual environment with the AWS CLI, boto3, and independent implementations of our formats.
pub(super) struct Python;

impl Part for Python {
    fn name(&self) -> &'static str {
        "AWS CLI and boto3"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["aws_cli", "boto3", "clouds", "doors", "jwcrypto", "sdks"]
    }

    fn install(&self, workspace: &Workspace) -> Result<()> {
        let folder = workspace.target("parts/venv")?;
        let [required, constrained] =
            ["requirements.txt", "constraints.txt"].map(|name| workspace.path("testdata/python").join(name));
        install(&folder, &required, &[&constrained])
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        let programs = workspace.target("parts/venv/bin")?;
        Ok(Started { variable: ("AGENTKEYS_TEST_AWS", programs.display().to_string()), _lifeline: None })
    }
}

/// A virtual environment with what `requirements` asks for, which may include `others`; quick where it is there already.
pub(crate) fn install(folder: &Path, requirements: &Path, others: &[&Path]) -> Result<()> {
    // With the folder's name, because a virtual environment does not survive a move.
    let mut wanted = format!("{}\n", folder.display());
    for file in [requirements].iter().chain(others) {
        wanted += &fs::read_to_string(file)?;
    }
    let stamp = folder.join("installed");
    if is_current(&stamp, &wanted) {
        return Ok(());
    }
    make_environment(folder)?;
    let mut pip = Command::new(folder.join("bin/pip"));
    run_quietly(pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements))?;
    Ok(fs::write(stamp, wanted)?)
}

fn make_environment(folder: &Path) -> Result<()> {
    ensure!(is_installed("python3"), "needs Python 3");
    let make = || run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    // Debian keeps this module in a package of its own.
    make().or_else(|_| apt::install(&["python3-venv"]).and_then(|()| make()))
}
