use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{console::step, invocation};

/// The checkout that this binary was built from.
pub(crate) struct Workspace {
    root: PathBuf,
    built: PathBuf,
}

impl Workspace {
    /// Finds the checkout and where cargo puts what it builds.
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().context("xtask lies in a folder of the workspace")?.to_owned();
        let own = env::current_exe().context("where is xtask itself?")?;
        let built = own.parent().context("a binary lies in a folder")?.to_owned();
        Ok(Self { root, built })
    }

    /// The root folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder of the repository.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A folder under `target/`, made where it is missing.
    pub(crate) fn target(&self, relative: &str) -> Result<PathBuf> {
        let folder = self.root.join("target").join(relative);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// One of our own binaries, after [`build`](Self::build).
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.built.join(name)
    }

    /// A command that runs in the root folder.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// A cargo command in the root folder.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        self.command("cargo", arguments)
    }

    /// Builds all binaries and tests, in one go so that features are unified once.
    pub(crate) fn build(&self) -> Result<()> {
        step("build", || invocation::run(&mut self.cargo(&["build", "--workspace", "--bins", "--tests"])))
    }
}
