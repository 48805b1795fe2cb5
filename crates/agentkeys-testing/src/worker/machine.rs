use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use agentkeys_attestation::{ReleaseKey, ReleaseKeyPair};
use agentkeys_tpm::{Approval, CAPPED_PCR, PcrValues, SEALED_PCRS, capped};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use pem::Pem;

use crate::{ReservedPort, Swtpm};

/// What the registers hold of a TPM to which nothing was measured.
const UNMEASURED: [u8; 32] = [0; 32];
/// The name of the signing log.
const ORIGIN: &str = "signer.example/log";
/// How often it signs for one account: as often as whoever measures it likes.
const SIGNINGS_PER_MINUTE: u32 = 100_000_000;
/// The release that the worker is.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// What a TEE worker runs on: a TPM in software, settings, and a release key that approves of the worker and has signed
/// a policy for its clients.
#[derive(Debug)]
pub struct WorkerMachine {
    port: ReservedPort,
    tpm: Swtpm,
    folder: PathBuf,
    broker_url: String,
    /// More of the worker's settings.
    settings: String,
    /// PKCS#8.
    release_key: Vec<u8>,
}

impl WorkerMachine {
    /// A new one for a worker of the broker at `broker_url`, with all files in `folder`.
    ///
    /// # Panics
    ///
    /// When there is no swtpm.
    pub fn new(folder: &Path, broker_url: &str) -> Self {
        Self::with_settings(folder, broker_url, "")
    }

    /// The same for a worker with more settings.
    ///
    /// # Panics
    ///
    /// As [`WorkerMachine::new`].
    pub fn with_settings(folder: &Path, broker_url: &str, settings: &str) -> Self {
        let release_key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let release_key = release_key.expect("a key").as_ref().to_vec();
        fs::create_dir_all(folder).expect("a temporary folder can be written");
        let (port, tpm, folder) = (ReservedPort::take(), Swtpm::certified(), folder.to_owned());
        let (broker_url, settings) = (broker_url.to_owned(), settings.to_owned());
        let machine = Self { port, tpm, folder, broker_url, settings, release_key };
        machine.approve(0);
        machine.write_policy(1, &machine.policy_text());
        machine
    }

    /// The arguments with which the worker is started, to log as `log` says.
    pub fn arguments(&self, log: &str) -> [String; 4] {
        let config = self.folder.join("worker.toml").display().to_string();
        ["--config".to_owned(), config, "--log".to_owned(), log.to_owned()]
    }

    /// Where the worker listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The worker's URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// The policy that accepts it, beside which its signature lies.
    pub fn policy(&self) -> PathBuf {
        self.folder.join("policy.toml")
    }

    /// The public release key, which signed the policy, in hex.
    pub fn release_key(&self) -> String {
        hex::encode(self.release_public_key().as_sec1())
    }

    /// The same, as a client reads it.
    ///
    /// # Panics
    ///
    /// Never: the key is a good one.
    pub fn release_public_key(&self) -> ReleaseKey {
        self.key_pair().public().expect("a good key")
    }

    /// The TPM.
    pub fn tpm(&self) -> &Swtpm {
        &self.tpm
    }

    /// The folder of the sealed secret and the log.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Takes the power away without a warning, and gives it back.
    pub fn power_cycle(&mut self) {
        self.tpm.power_cycle();
    }

    /// Makes the worker a release of this epoch, of which the release key approves.
    ///
    /// # Panics
    ///
    /// When the files cannot be written.
    pub fn approve(&self, epoch: u32) {
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.release_key);
        let registers: PcrValues = SEALED_PCRS.into_iter().map(|register| (register, UNMEASURED)).collect();
        let approval = Approval::sign(registers, RELEASE, epoch, &signer.expect("a good key"));
        let approval = approval.expect("registers that bind something");
        self.write("approval.json", &serde_json::to_string(&approval).expect("an approval is JSON"));
        self.write("worker.toml", &self.settings(epoch));
    }

    /// Puts another policy in the place of the one that is there, signed by the release key.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write_policy(&self, version: u32, rest: &str) {
        let policy = format!("version = {version}\n{rest}");
        let signature = self.key_pair().sign(policy.as_bytes()).expect("a key that signs");
        self.write("policy.toml", &policy);
        self.write("policy.toml.sig", &signature);
    }

    /// A policy that accepts this worker, and a development signer too.
    ///
    /// # Panics
    ///
    /// When the TPM has no maker.
    pub fn policy_text(&self) -> String {
        format!(
            "min_release = \"{RELEASE}\"\nallow_dev = true\nrevoked = []\n\n[log]\norigin = \"{ORIGIN}\"\n\n{}",
            policy_entry(&self.tpm, &UNMEASURED)
        )
    }

    fn key_pair(&self) -> ReleaseKeyPair {
        ReleaseKeyPair::from_pkcs8(&self.release_key).expect("a good key")
    }

    fn settings(&self, epoch: u32) -> String {
        format!(
            "listen = \"{}\"\npublic_url = \"{}\"\nbroker_url = \"{}\"\nepoch = {epoch}\nstate = \"{}\"\ntpm = \"{}\"\n\
             approvals = [\"{}\"]\nrelease_key = \"{}\"\nlog_origin = \"{ORIGIN}\"\nchain_ids = [1, 8453, 84532]\n\
             signings_per_minute = {SIGNINGS_PER_MINUTE}\n{}",
            self.address(),
            self.url(),
            self.broker_url,
            self.state().display(),
            self.tpm.path(),
            self.folder.join("approval.json").display(),
            self.release_key(),
            self.settings
        )
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).expect("a temporary folder can be written");
    }
}

/// What a policy accepts a worker by that runs on `tpm`, whose register 11 held `measured` when it started, and the
/// others nothing.
///
/// # Panics
///
/// When the TPM has no maker.
pub fn policy_entry(tpm: &Swtpm, measured: &[u8; 32]) -> String {
    let register = |register: u8| {
        let value = if register == CAPPED_PCR { capped(measured) } else { UNMEASURED };
        format!("{register} = [\"{}\"]", hex::encode(value))
    };
    format!(
        "[[accept]]\nbackend = \"tpm2\"\nrelease = \"{RELEASE}\"\nbank = \"sha256\"\npcr = {{ {} }}\n\
         anchor = {{ ek_ca = '''{}''' }}\n",
        SEALED_PCRS.map(register).join(", "),
        pem::encode(&Pem::new("CERTIFICATE", tpm.ca_certificate()))
    )
}
