use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Error, Result, anyhow, ensure};

use super::TARGETS;
use crate::{
    invocation::{output_of, run_quietly},
    parts::{apt, is_current},
    workspace::Workspace,
};

/// The compiler's release that the source belongs to: no other takes it.
const RELEASE: &str = "1.95.0";
/// The source of the standard library as Debian packs it.
const PACKAGE: &str = "rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb";
/// Where the newest packages are.
const POOL: &str = "http://deb.debian.org/debian/pool/main/r/rustc";
/// The package where every one stays, by its SHA-1.
const SNAPSHOT: &str = "https://snapshot.debian.org/file/97a84b17703ee4e5c190399eef16694be7a3aec2";
const SHA256: &str = "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b";

/// What the compiler must know of the standard library to check programs for other systems; not its code.
pub(super) struct StandardLibrary {
    /// Where it is, unless it is the toolchain's own.
    root: Option<PathBuf>,
}

impl StandardLibrary {
    /// That of the toolchain, or else one that this compiler checks from its source; quick where it is here already.
    pub(super) fn install(workspace: &Workspace) -> Result<Self> {
        let sysroot = output_of(&mut workspace.command("rustc", &["--print", "sysroot"]))?;
        if TARGETS.iter().all(|target| has(Path::new(sysroot.trim_end()), target.rust)) {
            return Ok(Self { root: None });
        }
        let version = output_of(&mut workspace.command("rustc", &["--version", "--verbose"]))?;
        let folder = workspace.target("portable/std")?;
        let wanted = format!("{version}{PACKAGE}\n{SHA256}\n{}", names().join("\n"));
        if !is_current(&folder.join("installed"), &wanted) {
            let package = download(workspace, &version).map_err(|why| or_by_rustup(&why))?;
            make(&package, &folder)?;
            fs::write(folder.join("installed"), wanted)?;
        }
        Ok(Self { root: Some(folder.join("root")) })
    }

    /// What tells the compiler where it is.
    pub(super) fn flags(&self) -> impl Iterator<Item = String> {
        self.root.iter().flat_map(|root| ["--sysroot".to_owned(), root.display().to_string()])
    }
}

/// Gets the source for the compiler of this version, as a package.
fn download(workspace: &Workspace, version: &str) -> Result<PathBuf> {
    ensure!(
        version.lines().any(|line| line == format!("release: {RELEASE}")),
        "the source that Debian has is that of Rust {RELEASE}, and the compiler is another"
    );
    let file = workspace.target("portable")?.join(PACKAGE);
    apt::download_exactly(&[&format!("{POOL}/{PACKAGE}"), SNAPSHOT], SHA256, &file)?;
    Ok(file)
}

/// Makes it in `folder`, out of a package.
fn make(package: &Path, folder: &Path) -> Result<()> {
    // What another compiler has left would be found beside it.
    fs::remove_dir_all(folder)?;
    let [source, build, root] = ["source", "build", "root"].map(|name| folder.join(name));
    check(&unpack(package, &source)?, &build)?;
    collect(&build, &root)?;
    fs::remove_dir_all(source)?;
    Ok(fs::remove_dir_all(build)?)
}

fn names() -> [&'static str; 2] {
    TARGETS.map(|target| target.rust)
}

/// Whether a toolchain has the standard library for a system.
fn has(sysroot: &Path, target: &str) -> bool {
    sysroot.join("lib/rustlib").join(target).join("lib").is_dir()
}

fn or_by_rustup(why: &Error) -> Error {
    anyhow!("{why:#}; or: rustup target add {}", names().join(" "))
}

/// Unpacks the source into `folder`; gives where it is in there.
fn unpack(package: &Path, folder: &Path) -> Result<PathBuf> {
    let library = format!("./usr/src/rustc-{RELEASE}/library");
    fs::create_dir_all(folder)?;
    // The compiler's own source is in there, too, and is six times as much.
    let mut unpack = Command::new("sh");
    unpack.args(["-c", "dpkg-deb --fsys-tarfile \"$1\" | tar -x -C \"$2\" \"$3\"", "sh"]);
    run_quietly(unpack.arg(package).arg(folder).arg(&library))?;
    Ok(folder.join(library))
}

fn check(source: &Path, build: &Path) -> Result<()> {
    let mut check = Command::new("cargo");
    check.args(["check", "--quiet", "--release", "--locked", "--package", "sysroot"]).current_dir(source);
    check.args(names().iter().flat_map(|name| ["--target", name]));
    check.arg("--target-dir").arg(build).env("CARGO_BUILD_BUILD_DIR", build);
    // The library alone may use what is not stable, and says so itself of what it exports.
    check.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zforce-unstable-if-unmarked");
    // It would count instead.
    check.env_remove("CARGO_ENCODED_RUSTFLAGS");
    run_quietly(&mut check)
}

/// Puts what was checked to where the compiler looks.
fn collect(build: &Path, root: &Path) -> Result<()> {
    for name in names() {
        let place = root.join("lib/rustlib").join(name).join("lib");
        fs::create_dir_all(&place)?;
        let checked = build.join(name).join("release/deps");
        for entry in fs::read_dir(&checked).with_context(|| format!("cannot list {}", checked.display()))? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "rmeta") {
                fs::copy(&file, place.join(file.file_name().context("a file has a name")?))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_that_of_the_pinned_compiler() {
        let workspace = Workspace::find().unwrap();
        let pinned: toml::Table = fs::read_to_string(workspace.path("rust-toolchain.toml")).unwrap().parse().unwrap();

        let channel = pinned["toolchain"]["channel"].as_str();

        assert_eq!(channel, Some(RELEASE), "another release needs its own PACKAGE, SNAPSHOT and SHA256");
        assert!(PACKAGE.starts_with(&format!("rust-src_{RELEASE}+")), "{PACKAGE}");
    }

    #[test]
    fn a_toolchain_has_the_library_for_its_own_system_and_not_for_an_unknown_one() {
        let workspace = Workspace::find().unwrap();
        let libraries = output_of(&mut workspace.command("rustc", &["--print", "target-libdir"])).unwrap();
        let own = Path::new(libraries.trim_end()).parent().unwrap();
        let sysroot = own.ancestors().nth(3).unwrap();

        assert!(has(sysroot, own.file_name().unwrap().to_str().unwrap()));
        assert!(!has(sysroot, "no-such-system"));
    }

    #[test]
    fn what_cannot_be_had_of_debian_can_be_had_of_rustup() {
        let why = or_by_rustup(&anyhow!("gone").context("cannot download"));

        let hint = "; or: rustup target add aarch64-apple-darwin x86_64-pc-windows-gnu";
        assert_eq!(why.to_string(), format!("cannot download: gone{hint}"));
    }
}
