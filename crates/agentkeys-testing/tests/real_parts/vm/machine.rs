use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use agentkeys_testing::{Process, Swtpm};
use tempfile::TempDir;

use crate::parts::at;

/// Without a processor's help, and on a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);
const STATE_DISK: u64 = 32 * 1024 * 1024;
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// What the worker says of itself when it is asked how it is used, and at no other time.
const HARMLESS: &[u8] = b"The signer in a trusted execution environment.";

/// The disk of an image, with what was predicted of it.
pub(super) struct Image {
    folder: PathBuf,
    disk: PathBuf,
    _changed: Option<TempDir>,
}

impl Image {
    /// The one that was built for the tests.
    pub(super) fn built() -> Self {
        let folder = PathBuf::from(at("AGENTKEYS_TEST_VM"));
        Self { disk: folder.join("worker.img"), folder, _changed: None }
    }

    /// The one with one byte of the worker changed, of which the release key approves.
    pub(super) fn changed_and_approved() -> Self {
        let folder = PathBuf::from(at("AGENTKEYS_TEST_VM"));
        Self { disk: folder.join("changed/worker.img"), folder, _changed: None }
    }

    /// The same, but for one byte of the worker, which it never looks at.
    pub(super) fn with_one_byte_changed(&self) -> Self {
        let mut bytes = fs::read(&self.disk).unwrap();
        let mut found = bytes.windows(HARMLESS.len()).enumerate().filter(|(_, window)| *window == HARMLESS);
        let (place, _) = found.next().expect("the image holds the worker as it is");
        bytes[place] ^= 1;
        let changed = tempfile::tempdir().unwrap();
        let disk = changed.path().join("worker.img");
        fs::write(&disk, bytes).unwrap();
        Self { folder: self.folder.clone(), disk, _changed: Some(changed) }
    }

    /// The URL under which clients know the worker.
    pub(super) fn url(&self) -> String {
        let config = fs::read_to_string(self.folder.join("worker.toml")).unwrap();
        let url = config.lines().find_map(|line| line.strip_prefix("public_url = \"")?.strip_suffix('"'));
        url.unwrap().to_owned()
    }

    /// A policy that accepts what was predicted, on machines whose TPM is certified by `maker` (PEM).
    pub(super) fn policy(&self, maker: &str) -> String {
        let accept = fs::read_to_string(self.folder.join("policy-accept.toml")).unwrap();
        format!(
            "version = 1\nmin_release = \"{}\"\nrevoked = []\n\n{accept}\n[accept.anchor]\nek_ca = '''{maker}'''\n",
            env!("CARGO_PKG_VERSION")
        )
    }

    fn address(&self) -> SocketAddr {
        self.url().strip_prefix("https://").unwrap().parse().unwrap()
    }
}

/// A virtual machine with a TPM and a disk of its own, on which nothing has run yet.
pub(super) struct Machine {
    tpm: Swtpm,
    folder: TempDir,
    has_run: bool,
}

impl Machine {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state.img");
        File::create(&state).unwrap().set_len(STATE_DISK).unwrap();
        let made = Command::new("/usr/sbin/mkfs.ext4").args(["-q", "-L", "agentkeys-state"]).arg(state).status();
        assert!(made.unwrap().success());
        Self { tpm: Swtpm::built_in(), folder, has_run: false }
    }

    /// Starts an image; what is said on the console is what the process writes.
    ///
    /// The network ends at the machine, but for the port by which the worker is reached.
    pub(super) fn start(&mut self, image: &Image) -> Process {
        if self.has_run {
            self.tpm.power_cycle();
        }
        self.has_run = true;
        let variables = self.folder.path().join("variables.fd");
        fs::copy(VARIABLES, &variables).unwrap();
        let mut qemu = Process::command("qemu-system-x86_64");
        qemu.args(["-accel", "tcg", "-cpu", "max", "-M", "q35,smm=off", "-m", "512", "-smp", "1"]);
        qemu.args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]);
        qemu.arg("-drive").arg(format!("if=pflash,format=raw,readonly=on,file={FIRMWARE}"));
        qemu.arg("-drive").arg(format!("if=pflash,format=raw,file={}", variables.display()));
        qemu.arg("-drive").arg(format!("if=none,id=image,format=raw,readonly=on,file={}", image.disk.display()));
        qemu.args(["-device", "virtio-blk-pci,drive=image,bootindex=0"]);
        qemu.arg("-drive").arg(format!("if=none,id=state,format=raw,file={}", self.state().display()));
        qemu.args(["-device", "virtio-blk-pci,drive=state"]);
        qemu.arg("-chardev").arg(format!("socket,id=tpm,path={}", self.tpm.control_socket().display()));
        qemu.args(["-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"]);
        let (address, guest) = (image.address(), "10.0.2.15:8443");
        qemu.arg("-netdev").arg(format!("user,id=net,restrict=on,hostfwd=tcp:{address}-{guest}"));
        qemu.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        Process::start(qemu).with_patience(PATIENCE)
    }

    /// The certificate of whoever has certified its TPM, in PEM.
    pub(super) fn maker(&self) -> String {
        pem::encode(&pem::Pem::new("CERTIFICATE", self.tpm.ca_certificate()))
    }

    fn state(&self) -> PathBuf {
        Path::join(self.folder.path(), "state.img")
    }
}
