//! The worker as one measured file, and what a TPM will show of a machine that has started it.

mod cpio;
mod esp;
mod initramfs;
mod kernel;
mod measurement;
mod outputs;
mod pe;
mod worker;

use std::{
    env, fs,
    path::{Path, PathBuf, absolute},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{
    console::{say, step},
    image::{initramfs::Initramfs, kernel::Kernel, measurement::Measurement, outputs::Outputs, pe::Pe},
    invocation::is_installed,
    parts::apt,
    workspace::Workspace,
};

/// What makes the image out of its parts, beside what this machine has anyway, and a program or a file of each.
const PACKAGES: [(&str, &str); 4] = [
    ("systemd-boot-efi", STUB),
    ("mtools", "/usr/bin/mcopy"),
    ("dosfstools", "/usr/sbin/mkfs.vfat"),
    ("ca-certificates", AUTHORITIES),
];
/// Where cargo builds the worker, below `target/image`.
pub(crate) const FIRST: &str = "build";
/// What firmware starts: it measures and starts the kernel that is in the same file.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Said to the kernel: nothing of its memory for anyone, no other module than Debian's own, memory that it cannot read
/// itself where a program asks for it, and a restart where something goes wrong in it.
const COMMAND_LINE: &str = "console=ttyS0 quiet oops=panic panic=-1 lockdown=confidentiality module.sig_enforce=1 \
                            secretmem.enable=1 init_on_alloc=1 init_on_free=1 slab_nomerge vsyscall=none debugfs=off";

/// The flags of `cargo xtask image`.
#[derive(Args)]
pub(crate) struct Image {
    /// The worker's settings, which the image is measured with
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,

    /// The machine's settings: its name, its place in the network, and the names that it knows [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) machine: Option<PathBuf>,

    /// The authorities that the worker believes when it asks the broker
    #[arg(long, value_name = "FILE", default_value = AUTHORITIES)]
    pub(crate) authorities: PathBuf,

    /// Where the image goes
    #[arg(long, value_name = "FOLDER", default_value = "target/image/out")]
    pub(crate) out: PathBuf,

    /// Approve of the image with this key: PEM, on NIST P-256
    #[arg(long, value_name = "FILE")]
    pub(crate) release_key: Option<PathBuf>,

    /// Take this approval, from `agentkeys attestation approve`, so that the release key need not be here
    #[arg(long, value_name = "FILE", conflicts_with = "release_key")]
    pub(crate) approval: Option<PathBuf>,

    /// Take this static worker instead of building it
    #[arg(long, value_name = "FILE")]
    pub(crate) worker: Option<PathBuf>,

    /// Take the kernel in this Debian package instead of the newest
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel: Option<PathBuf>,

    /// Do everything twice, and fail when that gives other bytes
    #[arg(long)]
    pub(crate) twice: bool,

    /// Build a slower worker sooner, for tests
    #[arg(long)]
    pub(crate) quick: bool,

    /// Where cargo keeps what it has downloaded, of which the image shall show nothing
    #[arg(long, env = "CARGO_HOME", value_name = "FOLDER", hide = true)]
    pub(crate) cargo_home: Option<PathBuf>,
}

impl Image {
    /// The image that these settings give by themselves.
    pub(crate) fn with_config(config: PathBuf) -> Self {
        Self {
            config,
            machine: None,
            authorities: AUTHORITIES.into(),
            out: "target/image/out".into(),
            release_key: None,
            approval: None,
            worker: None,
            kernel: None,
            twice: false,
            quick: false,
            cargo_home: None,
        }
    }

    /// `cargo xtask image`: builds the image and predicts how it will be measured.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        let out = self.build(workspace)?;
        say(&out.policy()?);
        if self.approval.is_none() && self.release_key.is_none() {
            say(&format!("   {}", out.how_to_approve(self.epoch()?)));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Builds the image into its folder.
    pub(crate) fn build(&self, workspace: &Workspace) -> Result<Outputs> {
        let epoch = self.epoch()?;
        install_tools()?;
        let kernel = step("kernel", || match &self.kernel {
            Some(package) => Kernel::from_package(package, workspace),
            None => Kernel::newest(workspace),
        })?;
        let out = Outputs::at(&absolute(&self.out)?)?;
        let (uki, measurement) = self.build_once(workspace, &kernel, FIRST)?;
        // Before what is there is replaced: the approval may be of that.
        let approval =
            self.approval.as_deref().map(|file| outputs::approval_of(&measurement, epoch, file)).transpose()?;
        step("disk", || out.write(&uki, &measurement, kernel.package()))?;
        if self.twice {
            let again = Outputs::at(&workspace.target("image/again")?)?;
            let (uki, measurement) = self.build_once(workspace, &kernel, "build-again")?;
            again.write(&uki, &measurement, kernel.package())?;
            step("twice the same", || out.ensure_same_as(&again))?;
        }
        if let Some(key) = &self.release_key {
            step("approval", || out.approve(&measurement, key, epoch))?;
        }
        if let Some(approval) = &approval {
            step("approval", || out.put(approval))?;
        }
        Ok(out)
    }

    /// Builds the static worker alone; gives its file.
    pub(crate) fn build_worker(&self, workspace: &Workspace, target: &str) -> Result<PathBuf> {
        if let Some(binary) = &self.worker {
            return Ok(absolute(binary)?);
        }
        let profile = if self.quick { "image-quick" } else { "image" };
        worker::build(workspace, &self.cargo_home()?, &workspace.target("image")?.join(target), profile)
    }

    fn build_once(&self, workspace: &Workspace, kernel: &Kernel, target: &str) -> Result<(Pe, Measurement)> {
        let worker = self.build_worker(workspace, target)?;
        step("image", || {
            worker::check(&worker, &self.config)?;
            let initramfs = Initramfs {
                worker: read(&worker)?,
                config: read(&self.config)?,
                machine: self.machine.as_deref().map(read).transpose()?.unwrap_or_default(),
                authorities: read(&self.authorities)?,
                modules: kernel.modules()?,
            };
            let uki = unite(&kernel.program()?, &initramfs.pack()?)?;
            let measurement = Measurement::predict(&uki)?;
            Ok((uki, measurement))
        })
    }

    /// The epoch that the worker's settings name, of which its approval has to be.
    fn epoch(&self) -> Result<u32> {
        let unusable = || format!("cannot use {}", self.config.display());
        let settings = String::from_utf8(read(&self.config)?).with_context(unusable)?;
        epoch_in(&settings).with_context(unusable)
    }

    fn cargo_home(&self) -> Result<PathBuf> {
        let default = || env::home_dir().map(|home| home.join(".cargo"));
        self.cargo_home.clone().or_else(default).context("where does cargo keep what it has downloaded? --cargo-home")
    }
}

/// The epoch that a worker's settings name: 0 where they say nothing of it.
fn epoch_in(settings: &str) -> Result<u32> {
    let settings: toml::Table = settings.parse().context("it is not TOML")?;
    let Some(epoch) = settings.get("epoch") else { return Ok(0) };
    let number = epoch.as_integer().and_then(|number| u32::try_from(number).ok());
    number.with_context(|| format!("`epoch` is {epoch}, which is no number from 0 to {}", u32::MAX))
}

/// One file that firmware starts and measures: the stub, with kernel, command line and initramfs in it.
fn unite(kernel: &[u8], initramfs: &[u8]) -> Result<Pe> {
    let version = env!("CARGO_PKG_VERSION");
    let release = format!("ID=agentkeys-worker\nVERSION_ID={version}\nPRETTY_NAME=\"AgentKeys worker {version}\"\n");
    let sections = [
        (".osrel", release.as_bytes()),
        (".cmdline", COMMAND_LINE.as_bytes()),
        (".linux", kernel),
        (".initrd", initramfs),
    ];
    Pe::parse(read(Path::new(STUB))?).context(STUB)?.with_sections(&sections)
}

fn install_tools() -> Result<()> {
    ensure!(cfg!(target_arch = "x86_64"), "the image is for x86-64, and is built there");
    ensure!(is_installed("dpkg-deb"), "the image is made of Debian's packages, and there is no dpkg-deb here");
    let missing = PACKAGES.iter().filter(|(_, file)| !Path::new(file).exists());
    let missing: Vec<_> = missing.map(|(package, _)| *package).collect();
    if missing.is_empty() { Ok(()) } else { step("Debian packages", || apt::install(&missing)) }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_that_of_the_settings_which_are_measured() {
        assert_eq!(epoch_in("listen = \"127.0.0.1:0\"").unwrap(), 0);
        assert_eq!(epoch_in("epoch = 2").unwrap(), 2);
        assert_eq!(epoch_in("[backup]\nepoch = 1").unwrap(), 0);
    }

    #[test]
    fn an_epoch_that_cannot_be_used_is_refused_with_what_is_wrong() {
        let twice = ("epoch = 1\nepoch = 2", "duplicate key");
        let too_high = ("epoch = 4294967296", "`epoch` is 4294967296");
        for (settings, reason) in
            [("epoch = \"0\"", "`epoch` is \"0\""), ("epoch = -1", "`epoch` is -1"), twice, too_high]
        {
            let refused = format!("{:#}", epoch_in(settings).unwrap_err());

            assert!(refused.contains(reason), "{refused}");
        }
    }
}
