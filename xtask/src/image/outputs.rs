use std::{
    fs,
    path::{Path, PathBuf},
};

use agentkeys_tpm::{Approval, PcrValues};
use anyhow::{Context, Result, anyhow, ensure};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{esp, measurement::Measurement, pe::Pe, read};

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

    /// Approves of the image with the release key, and puts that beside it, and onto the disk, where the worker reads it.
    ///
    /// No two signatures of such a key are the same: from here on the disk is not the same bytes each time.
    pub(super) fn approve(&self, measurement: &Measurement, release_key: &Path, epoch: u32) -> Result<()> {
        let key = pem::parse(read(release_key)?).with_context(|| format!("{} is not PEM", release_key.display()))?;
        let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key.contents());
        let key = key.map_err(|_| anyhow!("{} is no private key on NIST P-256", release_key.display()))?;
        let approval = Approval::sign(measurement.at_start.clone(), env!("CARGO_PKG_VERSION"), epoch, &key)?;
        self.put(&approval)
    }

    /// Puts an approval that is of this image beside it, and onto the disk.
    pub(super) fn put(&self, approval: &Approval) -> Result<()> {
        write(&self.approval(), serde_json::to_string_pretty(approval)?.as_bytes())?;
        esp::add_approval(&self.disk(), &self.approval())
    }

    /// Fails unless the other folder holds the same bytes.
    pub(super) fn ensure_same_as(&self, other: &Self) -> Result<()> {
        for path in [Self::image, Self::disk, Self::pcrs, Self::policy_file] {
            let [one, another] = [path(self), path(other)];
            ensure!(read(&one)? == read(&another)?, "{} and {} differ", one.display(), another.display());
        }
        Ok(())
    }

    /// The command by which the release key approves of the image.
    pub(super) fn how_to_approve(&self, epoch: u32) -> String {
        let pcrs = self.pcrs();
        format!(
            "Where the release key is: agentkeys attestation approve {} --key FILE --epoch {epoch} --out approval.json",
            pcrs.display()
        )
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

    fn approval(&self) -> PathBuf {
        self.folder.join("approval.json")
    }

    fn pcrs(&self) -> PathBuf {
        self.folder.join("pcrs.json")
    }

    fn policy_file(&self) -> PathBuf {
        self.folder.join("policy-accept.toml")
    }
}

/// Reads an approval that was given elsewhere, if it is of this image and of the epoch that its settings name.
pub(super) fn approval_of(measurement: &Measurement, epoch: u32, file: &Path) -> Result<Approval> {
    let name = || file.display().to_string();
    let approval: Approval = serde_json::from_slice(&read(file)?).with_context(name)?;
    of_image(&approval, measurement, epoch).with_context(name)?;
    Ok(approval)
}

/// Fails unless that is a whole approval of this image.
fn of_image(approval: &Approval, measurement: &Measurement, epoch: u32) -> Result<()> {
    let (release, version) = (approval.release(), env!("CARGO_PKG_VERSION"));
    ensure!(release == version, "it approves of release {release}, and this is {version}");
    let approved = approval.epoch();
    ensure!(
        approved == epoch,
        "it is of epoch {approved}, and the worker's settings name {epoch}: approve with `--epoch {epoch}`"
    );
    for (register, value) in &measurement.at_start {
        let approved = approval.pcrs().get(register);
        ensure!(
            approved == Some(value),
            "it is of another image: this one has {} in register {register}. Where only the kernel is a newer one, \
             `--kernel FILE` takes that which the `pcrs.json` of the other names",
            hex::encode(value)
        );
    }
    ensure!(approval.matches(&measurement.at_start), "it names registers that nothing was computed for");
    approval.verify(approval.release_key()).context("it is not what the release key has signed")
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
         # The machines that may run it, by who certified their TPM: a certificate in PEM.\n\
         # [accept.anchor]\n# ek_ca = '''…'''\n",
        env!("CARGO_PKG_VERSION"),
        pcrs.join("\n")
    )
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(pcr4: u8) -> Measurement {
        let at_start = PcrValues::from([(4, [pcr4; 32]), (7, [7; 32]), (11, [11; 32]), (12, [0; 32])]);
        Measurement { capped: at_start.clone(), at_start }
    }

    fn approval(measurement: &Measurement, release: &str) -> Approval {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Approval::sign(measurement.at_start.clone(), release, 1, &key).unwrap()
    }

    #[test]
    fn an_approval_counts_for_its_image_alone() {
        let (image, another) = (measured(4), measured(5));
        let version = env!("CARGO_PKG_VERSION");
        let good = approval(&image, version);
        let mut changed = serde_json::to_value(&good).unwrap();
        changed["approvals"][0]["signature"] = changed["approvals"][1]["signature"].clone();
        let changed = serde_json::from_value(changed).unwrap();

        let refusal = |approval: &Approval, of: &Measurement| of_image(approval, of, 1).unwrap_err().to_string();

        of_image(&good, &image, 1).unwrap();
        assert!(of_image(&good, &image, 0).unwrap_err().to_string().contains("approve with `--epoch 0`"));
        assert!(refusal(&good, &another).contains("another image"));
        assert!(refusal(&approval(&image, "9.9.9"), &image).contains("release 9.9.9"));
        assert!(refusal(&changed, &image).contains("not what the release key has signed"));
        let mut fewer = image.at_start.clone();
        fewer.remove(&7);
        let mut more = image.at_start.clone();
        more.insert(9, [0; 32]);
        for pcrs in [fewer, more] {
            assert!(
                of_image(&approval(&Measurement { capped: pcrs.clone(), at_start: pcrs }, version), &image, 1).is_err()
            );
        }
    }
}
