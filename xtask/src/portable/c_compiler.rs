use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{TARGETS, Target};
use crate::{invocation::output_of, parts::python, workspace::Workspace};

/// The exact version, from `PyPI`.
const REQUIREMENTS: &str = "testdata/python/zig.txt";

/// Zig as build scripts call a C compiler: it brings the C libraries of other systems.
pub(super) struct CCompiler {
    folder: PathBuf,
}

impl CCompiler {
    /// Gets Zig from `PyPI`, and writes a program for each system; quick where they are here already.
    pub(super) fn install(workspace: &Workspace) -> Result<Self> {
        let environment = workspace.target("portable/venv")?;
        python::install(&environment, &workspace.path(REQUIREMENTS), &[])?;
        let compiler = Self { folder: workspace.target("portable/c")? };
        let zig = zig_in(&environment)?;
        let zig = zig.display();
        compiler.write("ar", &format!("exec '{zig}' ar \"$@\"\n"))?;
        for target in TARGETS {
            // Build scripts name the system as well, in words that are not Zig's.
            let without = "for word; do shift; case $word in --target=*) ;; *) set -- \"$@\" \"$word\" ;; esac; done";
            compiler.write(target.rust, &format!("{without}\nexec '{zig}' cc -target {} \"$@\"\n", target.zig))?;
        }
        Ok(compiler)
    }

    /// Has the build scripts that `cargo` runs take it, for `target` alone.
    pub(super) fn configure(&self, cargo: &mut Command, target: Target) {
        cargo.env(target.variable("CC"), self.folder.join(target.rust));
        cargo.env(target.variable("AR"), self.folder.join("ar"));
        // Without NASM for the assembly of Windows: what is assembled already comes with the crate.
        cargo.env("AWS_LC_SYS_PREBUILT_NASM", "1");
        // Zig brings what Apple's own kit would, and whose absence would be noticed.
        cargo.env("SDKROOT", &self.folder);
        let cache = self.folder.join("cache");
        cargo.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache);
    }

    fn write(&self, name: &str, script: &str) -> Result<()> {
        let path = self.folder.join(name);
        let script = format!("#!/bin/sh\n{script}");
        // What is newer than what it has built makes cargo build that again.
        if fs::read_to_string(&path).is_ok_and(|written| written == script) {
            return Ok(());
        }
        fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(fs::set_permissions(&path, Permissions::from_mode(0o755))?)
    }
}

fn zig_in(environment: &Path) -> Result<PathBuf> {
    let mut ask = Command::new(environment.join("bin/python"));
    let folder = output_of(ask.args(["-c", "import ziglang; print(ziglang.__path__[0])"]))?;
    Ok(Path::new(folder.trim_end()).join("zig"))
}
