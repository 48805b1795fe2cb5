use anyhow::Result;

use super::{cpio::Cpio, kernel::Module};

/// The folders of the image: what it holds, and where the worker mounts the rest.
const FOLDERS: [&str; 13] = [
    "dev",
    "efi",
    "etc",
    "etc/agentkeys",
    "etc/ssl",
    "etc/ssl/certs",
    "lib",
    "lib/modules",
    "proc",
    "sys",
    "var",
    "var/lib",
    "var/lib/agentkeys-worker",
];

/// Names are looked up in `/etc/hosts`, and nowhere else.
const NAMES: &[u8] = b"hosts: files\n";

/// All that is in the image beside the kernel.
pub(super) struct Initramfs {
    /// The worker's binary.
    pub(super) worker: Vec<u8>,
    /// Its settings.
    pub(super) config: Vec<u8>,
    /// The machine's settings.
    pub(super) machine: Vec<u8>,
    /// The authorities that it believes when it asks the broker.
    pub(super) authorities: Vec<u8>,
    /// The kernel's modules, in the order in which they are loaded.
    pub(super) modules: Vec<Module>,
}

impl Initramfs {
    /// Packs it: the same bytes for the same content, whenever and wherever that happens.
    pub(super) fn pack(&self) -> Result<Vec<u8>> {
        let mut cpio = Cpio::default();
        for folder in FOLDERS {
            cpio.folder(folder)?;
        }
        cpio.file("etc/agentkeys/machine.toml", &self.machine)?;
        cpio.file("etc/agentkeys/worker.toml", &self.config)?;
        cpio.file("etc/nsswitch.conf", NAMES)?;
        cpio.file("etc/ssl/certs/ca-certificates.crt", &self.authorities)?;
        let mut order = String::new();
        for Module { name, content } in &self.modules {
            cpio.file(&format!("lib/modules/{name}.ko"), content)?;
            order.push_str(name);
            order.push_str(".ko\n");
        }
        cpio.file("lib/modules/order", order.as_bytes())?;
        cpio.program("init", &self.worker)?;
        cpio.finish()
    }
}
