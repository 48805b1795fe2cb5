use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    esp,
    measurement::{Measurement, PcrValues},
    pe::Pe,
    read,
};

/// The folder of an image, with what belongs to it.
pub(crate) struct Outputs {
    folder: PathBuf,
}

impl Outputs {
    /// The folder, made where it is missing.
    pub(super) fn at(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Writes the image, the disk that boots it, and what will be measured.
    pub(super) fn write(&self, uki: &Pe, measurement: &Measurement, kernel: &str) -> Result<()> {
        write(&self.image(), uki.bytes())?;
        esp::write(&self.disk(), &self.image())?;
        let pcrs = json!({
            "release": env!("CARGO_PKG_VERSION"),
            "bank": "sha256",
            "pcrs": as_json(&measurement.at_start),
            "capped": as_json(&measurement.capped),
            "kernel": kernel,
            "image_sha256": hex::encode(Sha256::digest(uki.bytes())),
        });
        write(&self.pcrs(), format!("{pcrs:#}\n").as_bytes())?;
        write(&self.policy_file(), accept(&measurement.capped).as_bytes())
    }

    /// Fails unless the other folder holds the same bytes.
    pub(super) fn ensure_same_as(&self, other: &Self) -> Result<()> {
        for path in [Self::image, Self::disk, Self::pcrs, Self::policy_file] {
            let [one, another] = [path(self), path(other)];
            ensure!(read(&one)? == read(&another)?, "{} and {} differ", one.display(), another.display());
        }
        Ok(())
    }

    /// What a client's policy has to say to accept the image.
    pub(super) fn policy(&self) -> Result<String> {
        let policy = String::from_utf8(read(&self.policy_file())?).context("a policy is text")?;
        Ok(format!("   {}\n\n{policy}", self.folder.display()))
    }

    fn image(&self) -> PathBuf {
        self.folder.join("worker.efi")
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("worker.img")
    }

    fn pcrs(&self) -> PathBuf {
        self.folder.join("pcrs.json")
    }

    fn policy_file(&self) -> PathBuf {
        self.folder.join("policy-accept.toml")
    }
}

fn as_json(pcrs: &PcrValues) -> Value {
    pcrs.iter().map(|(register, value)| (register.to_string(), Value::from(hex::encode(value)))).collect()
}

/// The entry of a client's policy that accepts these registers.
fn accept(pcrs: &PcrValues) -> String {
    let pcrs: Vec<_> =
        pcrs.iter().map(|(register, value)| format!("{register} = [\"{}\"]", hex::encode(value))).collect();
    format!(
        "[[accept]]\nbackend = \"tpm2\"\nrelease = \"{}\"\nbank = \"sha256\"\n\n[accept.pcr]\n{}\n\n\
         # The machines that may run it: by who certified their endorsement keys.\n\
         # [accept.anchor]\n# ek_ca_sha256 = [\"…\"]\n",
        env!("CARGO_PKG_VERSION"),
        pcrs.join("\n")
    )
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
