use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::Target;
use crate::{
    invocation::{output_of, run_quietly},
    parts::{apt, is_current},
    workspace::Workspace,
};

/// The compiler's release that [`PACKAGE`] belongs to: no other takes its source.
const RELEASE: &str = "1.95.0";
/// The source of the standard library as Debian packs it.
const PACKAGE: &str = "http://deb.debian.org/debian/pool/main/r/rustc/rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb";
const SHA256: &str = "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b";

/// What the compiler must know of the standard library to check programs for other systems; not its code.
pub(super) struct StandardLibrary {
    root: PathBuf,
}

impl StandardLibrary {
    /// Checks it from its source, with this compiler; quick where that is done already.
    pub(super) fn install(workspace: &Workspace, targets: &[Target]) -> Result<Self> {
        let version = output_of(&mut workspace.command("rustc", &["--version", "--verbose"]))?;
        ensure!(
            version.lines().any(|line| line == format!("release: {RELEASE}")),
            "the source that Debian has is that of Rust {RELEASE}, and the compiler is another"
        );
        let folder = workspace.target("portable/std")?;
        let library = Self { root: folder.join("root") };
        let stamp = folder.join("installed");
        let names: Vec<_> = targets.iter().map(|target| target.rust).collect();
        let wanted = format!("{version}{PACKAGE}\n{SHA256}\n{}", names.join("\n"));
        if !is_current(&stamp, &wanted) {
            // What another compiler has left would be found beside it.
            fs::remove_dir_all(&folder)?;
            fs::create_dir(&folder)?;
            let source = unpack(&folder)?;
            check(&source, &folder, targets)?;
            library.collect(&folder, targets)?;
            fs::remove_dir_all(folder.join("usr"))?;
            fs::write(stamp, wanted)?;
        }
        Ok(library)
    }

    /// Where the compiler finds it.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts what was checked to where the compiler looks.
    fn collect(&self, folder: &Path, targets: &[Target]) -> Result<()> {
        for target in targets {
            let place = self.root.join("lib/rustlib").join(target.rust).join("lib");
            fs::create_dir_all(&place)?;
            let checked = folder.join("build").join(target.rust).join("release/deps");
            for entry in fs::read_dir(&checked).with_context(|| format!("cannot list {}", checked.display()))? {
                let file = entry?.path();
                if file.extension().is_some_and(|extension| extension == "rmeta") {
                    fs::copy(&file, place.join(file.file_name().context("a file has a name")?))?;
                }
            }
        }
        // It is not needed again.
        Ok(fs::remove_dir_all(folder.join("build"))?)
    }
}

/// Gets the source; gives its folder.
fn unpack(folder: &Path) -> Result<PathBuf> {
    let library = format!("./usr/src/rustc-{RELEASE}/library");
    let package = folder.join(format!("rust-src-{RELEASE}.deb"));
    apt::download_exactly(PACKAGE, SHA256, &package)?;
    // The compiler's own source is in there, too, and is six times as much.
    let mut unpack = Command::new("sh");
    unpack.args(["-c", "dpkg-deb --fsys-tarfile \"$1\" | tar -x -C \"$2\" \"$3\"", "sh"]);
    run_quietly(unpack.arg(&package).arg(folder).arg(&library))?;
    fs::remove_file(package)?;
    Ok(folder.join(library))
}

fn check(source: &Path, folder: &Path, targets: &[Target]) -> Result<()> {
    let mut check = Command::new("cargo");
    check.args(["check", "--quiet", "--release", "--locked", "--package", "sysroot"]).current_dir(source);
    check.args(targets.iter().flat_map(|target| ["--target", target.rust]));
    check.arg("--target-dir").arg(folder.join("build"));
    // The library alone may use what is not stable, and says so itself of what it exports.
    check.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zforce-unstable-if-unmarked");
    run_quietly(&mut check)
}
