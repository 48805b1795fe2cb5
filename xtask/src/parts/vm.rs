use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::{Part, Started, apt, ports};
use crate::{
    image::{FIRST, Image},
    workspace::Workspace,
};

/// What runs a virtual machine with firmware that measures, and makes its disk; each with a file of it.
const PACKAGES: [(&str, &str); 4] = [
    ("qemu-system-x86", "/usr/bin/qemu-system-x86_64"),
    ("ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd"),
    ("e2fsprogs", "/usr/sbin/mkfs.ext4"),
    ("swtpm-tools", "/usr/bin/swtpm_setup"),
];

/// The worker's image, approved by a release key of its own, and what it takes to start it: QEMU and OVMF.
pub(crate) struct Vm;

impl Part for Vm {
    fn name(&self) -> &'static str {
        "the worker's image, in QEMU"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["vm"]
    }

    fn install(&self, workspace: &Workspace) -> Result<()> {
        let missing = PACKAGES.iter().filter(|(_, file)| !Path::new(file).exists());
        let missing: Vec<_> = missing.map(|(package, _)| *package).collect();
        if !missing.is_empty() {
            apt::install(&missing)?;
        }
        build_image(workspace)
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        let folder = workspace.target("parts/vm")?;
        Ok(Started { variable: ("AGENTKEYS_TEST_VM", folder.display().to_string()), _lifeline: None })
    }
}

/// What the worker says of itself when it is asked how it is used, and at no other time.
const HARMLESS: &[u8] = b"The signer in a trusted execution environment.";

/// Builds the image as `cargo xtask image` does, with the settings of the test; and once more with one byte of the
/// worker changed, which the release key approves of too, as no release key should.
fn build_image(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target("parts/vm")?;
    let (release_key, public) = release_key(&folder)?;
    let template = workspace.path("testdata/vm/worker.toml");
    let config = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    let written = folder.join("worker.toml");
    // Clients must know it by the port through which they reach it, and that is measured too.
    let [port] = ports::free()?;
    let config = config.replace("RELEASE_KEY", &public).replace("PORT", &port.to_string());
    fs::write(&written, config).context("cannot write the worker's settings")?;
    let mut image = Image {
        machine: Some(workspace.path("testdata/vm/machine.toml")),
        release_key: Some(release_key),
        quick: true,
        // With the worker built once: what is made around it is the same each time.
        twice: true,
        ..Image::with_config(written)
    };
    let worker = image.build_worker(workspace, FIRST)?;
    let changed = folder.join("changed-worker");
    change_one_byte(&worker, &changed)?;
    for (worker, out) in [(worker, folder.clone()), (changed, folder.join("changed"))] {
        image.worker = Some(worker);
        image.out = out;
        image.build(workspace)?;
    }
    Ok(())
}

/// Copies a program, but for one byte that it never looks at.
fn change_one_byte(program: &Path, copy: &Path) -> Result<()> {
    fs::copy(program, copy).with_context(|| format!("cannot copy {}", program.display()))?;
    let mut bytes = fs::read(copy)?;
    let found = bytes.windows(HARMLESS.len()).position(|window| window == HARMLESS);
    let byte = found.and_then(|place| bytes.get_mut(place)).context("the worker does not say what it is")?;
    *byte ^= 1;
    fs::write(copy, bytes).with_context(|| format!("cannot write {}", copy.display()))
}

/// A release key for tests, made once; gives its file, and its public part as the worker's settings have it.
fn release_key(folder: &Path) -> Result<(PathBuf, String)> {
    let file = folder.join("release-key.pem");
    if !file.exists() {
        let made =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| anyhow!("cannot make a key"))?;
        let der = made.to_pkcs8v1().map_err(|_| anyhow!("cannot write a key"))?;
        fs::write(&file, pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref())))?;
    }
    let pem = pem::parse(fs::read(&file)?)?;
    let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, pem.contents());
    let key = key.map_err(|_| anyhow!("{} is no release key: remove it", file.display()))?;
    Ok((file, hex::encode(key.public_key())))
}
