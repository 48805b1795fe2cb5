use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use agentkeys_api::{attestation::AttestationEvidence, paths};
use agentkeys_testing::{Process, Swtpm};
use agentkeys_tpm::{Approval, PcrValues, ReleaseKey as PublicKey, SEALED_PCRS, Tpm, identity_record};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use tempfile::TempDir;

/// Who makes releases.
pub(super) struct ReleaseKey(EcdsaKeyPair);

impl ReleaseKey {
    pub(super) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// A release of this epoch, for a machine that has measured nothing.
    pub(super) fn approve(&self, epoch: u32) -> Approval {
        self.approve_registers(epoch, SEALED_PCRS.map(|register| (register, [0; 32])).into())
    }

    pub(super) fn approve_registers(&self, epoch: u32, registers: PcrValues) -> Approval {
        Approval::sign(registers, "0.1.0", epoch, &self.0).unwrap()
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey::from_sec1(self.0.public_key().as_ref()).unwrap()
    }

    pub(super) fn hex(&self) -> String {
        hex::encode(self.0.public_key())
    }
}

/// A machine with a TPM and a disk, on which a worker starts.
pub(super) struct Machine {
    pub(super) tpm: Swtpm,
    pub(super) release_key: ReleaseKey,
    folder: TempDir,
}

/// A worker that signs.
pub(super) struct Worker {
    pub(super) process: Process,
    pub(super) identity: String,
    pub(super) url: String,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self { tpm: Swtpm::certified(), release_key: ReleaseKey::new(), folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(super) fn blob(&self) -> PathBuf {
        self.state().join("master.sealed")
    }

    /// Starts a release of this epoch.
    pub(super) fn start(&self, epoch: u32) -> Process {
        self.start_with(&self.release_key.approve(epoch), "")
    }

    /// Starts one with this approval and of its epoch, and more in its configuration.
    pub(super) fn start_with(&self, approval: &Approval, more: &str) -> Process {
        self.start_at(&self.tpm.path(), approval, approval.epoch(), more)
    }

    /// Starts a release of an epoch with this approval, which reaches the TPM there.
    pub(super) fn start_at(&self, tpm: &str, approval: &Approval, epoch: u32, more: &str) -> Process {
        let at = |name: &str| self.folder.path().join(name);
        fs::write(at("approval.json"), serde_json::to_vec(approval).unwrap()).unwrap();
        let mut text = String::new();
        writeln!(text, "listen = \"127.0.0.1:0\"\nbroker_url = \"http://127.0.0.1:1\"").unwrap();
        writeln!(text, "state = \"{}\"\ntpm = \"{tpm}\"\nepoch = {epoch}", self.state().display()).unwrap();
        let approval = at("approval.json");
        writeln!(text, "approvals = [\"{}\"]\nrelease_key = \"{}\"", approval.display(), self.release_key.hex())
            .unwrap();
        writeln!(text, "log_origin = \"signer.example/log\"\nchain_ids = [1]\nrequire_sandbox = true\n{more}").unwrap();
        fs::write(at("worker.toml"), text).unwrap();
        let mut command = Process::command(Process::binary("agentkeys-tee-worker"));
        command.arg("--config").arg(at("worker.toml"));
        Process::start(command)
    }

    /// Starts a release of this epoch, which is to sign.
    pub(super) async fn boot(&self, epoch: u32) -> Worker {
        Worker::of(self.start(epoch)).await
    }

    /// Starts a release of this epoch, which is to refuse, and gives what it says.
    pub(super) async fn refusal(&self, epoch: u32) -> String {
        refusal_of(self.start(epoch)).await
    }

    /// Its TPM, in the hands of whoever owns the machine and has started another system.
    pub(super) fn host(&self) -> Tpm {
        Tpm::open(&self.tpm.path()).unwrap()
    }

    /// Whether the TPM says whose secret the machine has.
    pub(super) fn has_record(&self) -> bool {
        self.host().record(identity_record(&self.release_key.public())).read().unwrap().is_some()
    }

    /// Takes the power away and gives it back.
    pub(super) fn power_cycle(&mut self) {
        self.tpm.power_cycle();
    }
}

impl Worker {
    pub(super) async fn of(mut process: Process) -> Self {
        let address = process.address_in("the worker signs").await;
        let line = process.line_with("the worker signs").await;
        let identity = line.split("identity=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        Self { process, identity, url: format!("https://{address}") }
    }

    pub(super) async fn evidence_status(&self, nonce: &[u8; 32]) -> u16 {
        self.ask_for_evidence(nonce).await.status().as_u16()
    }

    pub(super) async fn evidence(&self, nonce: &[u8; 32]) -> AttestationEvidence {
        let answer = self.ask_for_evidence(nonce).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    async fn ask_for_evidence(&self, nonce: &[u8; 32]) -> reqwest::Response {
        let url = format!("{}{}?nonce={}", self.url, paths::ATTESTATION, hex::encode(nonce));
        http().get(url).send().await.unwrap()
    }

    /// Stops it as a machine that shuts down does.
    pub(super) async fn stop(mut self) {
        let id = rustix::process::Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(self.process.ended().await.success());
    }
}

/// Copies a folder with all that is in it, with their modes.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// What a process says that ends badly.
pub(super) async fn refusal_of(mut process: Process) -> String {
    let status = process.ended().await;
    let said = String::from_utf8_lossy(&process.output()).into_owned();
    assert!(!status.success(), "{said}");
    said
}

/// A client that believes any certificate: these tests look at the worker.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true).build().unwrap()
}

/// Writes a file as the worker writes its own.
pub(super) fn write_private(file: &Path, bytes: &[u8]) {
    agentkeys_crypto::private_file::replace(file, bytes).unwrap();
}
