use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    console::step,
    invocation::{self, is_installed},
    workspace::Workspace,
};

/// A cargo subcommand that does not come with the toolchain.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Bans, licences and sources of dependencies.
pub(crate) const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
/// Dependencies that nobody uses.
pub(crate) const MACHETE: Tool = Tool { name: "cargo-machete", version: "0.9.1" };

/// Built once, run for seconds: quick to compile matters more than quick to run.
const BUILD_QUICKLY: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
];

impl Tool {
    /// A command that runs the tool in the root folder; installs it into `target/tools` where it is missing.
    pub(crate) fn command(&self, workspace: &Workspace, arguments: &[&str]) -> Result<Command> {
        let program = self.find_or_install(workspace)?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(workspace.root());
        Ok(command)
    }

    fn find_or_install(&self, workspace: &Workspace) -> Result<PathBuf> {
        if is_installed(self.name) {
            return Ok(self.name.into());
        }
        let tools = workspace.target("tools")?;
        let ours = tools.join("bin").join(self.name);
        if !ours.exists() {
            step(&format!("install {}", self.name), || self.install(workspace, &tools))?;
        }
        Ok(ours)
    }

    fn install(&self, workspace: &Workspace, tools: &Path) -> Result<()> {
        let mut install = workspace.cargo(&["install", "--quiet", "--locked", self.name, "--version", self.version]);
        let build = tools.join("build");
        install.arg("--root").arg(tools).arg("--target-dir").arg(&build).envs(BUILD_QUICKLY);
        invocation::run(&mut install)?;
        fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))
    }
}
