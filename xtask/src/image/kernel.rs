use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{invocation::run_quietly, parts::apt, workspace::Workspace};

/// Debian's package that depends on its newest kernel for virtual machines.
const NEWEST: &str = "linux-image-cloud-amd64";

/// What the worker needs of the kernel that is not built in: the devices of virtual machines, and the file system of
/// the disk that the image is on. Those that they need in turn are found in the modules themselves.
const MODULES: [&str; 7] = ["virtio_pci", "virtio_blk", "virtio_net", "configfs", "nls_ascii", "nls_cp437", "vfat"];

/// A kernel as Debian releases it.
pub(super) struct Kernel {
    package: String,
    folder: PathBuf,
}

/// A part of the kernel that is loaded when the machine starts.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

impl Kernel {
    /// Debian's newest, from the package archive; quick where it is here already.
    pub(super) fn newest(workspace: &Workspace) -> Result<Self> {
        let depends = apt::dependencies_of(NEWEST)?;
        let name = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
        let name = format!("linux-image-{}", name.with_context(|| format!("{NEWEST} depends on no kernel"))?);
        let folder = workspace.target("image/kernel")?;
        let package = apt::download(&name, &folder)?;
        Self::unpack(&package, &folder)
    }

    /// The one in a package that is here.
    pub(super) fn from_package(package: &Path, workspace: &Workspace) -> Result<Self> {
        Self::unpack(package, &workspace.target("image/kernel")?)
    }

    fn unpack(package: &Path, folder: &Path) -> Result<Self> {
        let name = package.file_stem().context("a package has a name")?.to_string_lossy().into_owned();
        let unpacked = folder.join(&name);
        if !unpacked.exists() {
            let unfinished = folder.join("unfinished");
            run_quietly(Command::new("dpkg-deb").arg("-x").arg(package).arg(&unfinished))?;
            fs::rename(&unfinished, &unpacked).context("cannot keep the unpacked kernel")?;
        }
        Ok(Self { package: name, folder: unpacked })
    }

    /// The package that it is from: name, version, architecture.
    pub(super) fn package(&self) -> &str {
        &self.package
    }

    /// The kernel itself.
    pub(super) fn program(&self) -> Result<Vec<u8>> {
        let boot = self.folder.join("boot");
        let kernel = files_below(&boot)?.into_iter().find(|path| file_name(path).starts_with("vmlinuz-"));
        let kernel = kernel.with_context(|| format!("no kernel in {}", boot.display()))?;
        fs::read(&kernel).with_context(|| format!("cannot read {}", kernel.display()))
    }

    /// The modules that the worker needs, each after those that it needs itself.
    pub(super) fn modules(&self) -> Result<Vec<Module>> {
        let modules = files_below(&self.folder.join("lib/modules"))?;
        let modules = modules.iter().filter(|path| path.extension().is_some_and(|extension| extension == "ko"));
        let by_name: BTreeMap<String, &PathBuf> = modules.map(|path| (module_name(path), path)).collect();
        let mut loaded = Vec::new();
        for name in MODULES {
            add_with_needs(name, &by_name, &mut loaded)?;
        }
        Ok(loaded)
    }
}

fn add_with_needs(name: &str, by_name: &BTreeMap<String, &PathBuf>, loaded: &mut Vec<Module>) -> Result<()> {
    if loaded.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let path = by_name.get(name).with_context(|| format!("the kernel has no module {name}"))?;
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    for needed in needs_of(&content)? {
        add_with_needs(&needed, by_name, loaded)?;
    }
    loaded.push(Module { name: name.to_owned(), content });
    Ok(())
}

/// The names of the modules that a module says it needs.
fn needs_of(module: &[u8]) -> Result<Vec<String>> {
    const FIELD: &[u8] = b"\0depends=";
    ensure!(module.starts_with(b"\x7fELF"), "a module that is no ELF");
    let at = module.windows(FIELD.len()).position(|window| window == FIELD).context("a module without `depends`")?;
    let value = module.get(at + FIELD.len()..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value).into_owned();
    Ok(names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect())
}

fn module_name(path: &Path) -> String {
    file_name(path).trim_end_matches(".ko").replace('-', "_")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let listed = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in listed {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_what_it_needs() {
        let module = b"\x7fELF..\0license=GPL\0depends=net-failover,virtio\0retpoline=Y\0";

        assert_eq!(needs_of(module).unwrap(), ["net_failover", "virtio"]);
        assert!(needs_of(b"\x7fELF..\0depends=\0").unwrap().is_empty());
        assert!(needs_of(b"\x7fELF..").is_err());
    }
}
