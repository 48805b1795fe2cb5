use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use tempfile::TempDir;

/// A TPM 2.0 in software, with a state of its own. Killed when dropped.
///
/// One client at a time is connected to it; the next one waits until that has gone.
#[derive(Debug)]
pub struct Swtpm {
    state: TempDir,
    maker: Option<Arc<Maker>>,
    /// Whether it is in a machine, which alone can send it commands.
    built_in: bool,
    running: Child,
}

impl Swtpm {
    /// Starts a new one, which nobody vouches for.
    ///
    /// # Panics
    ///
    /// When `AGENTKEYS_SWTPM` does not say where `swtpm` is.
    pub fn start() -> Self {
        Self::made_by(None, false)
    }

    /// Starts a new one whose endorsement key is certified by a maker of its own.
    ///
    /// # Panics
    ///
    /// As [`Swtpm::start`].
    pub fn certified() -> Self {
        Self::made_by(Some(Arc::new(Maker::new())), false)
    }

    /// Starts a certified one that is built into a machine of QEMU's: it has its control channel, and no other.
    ///
    /// # Panics
    ///
    /// As [`Swtpm::start`].
    pub fn built_in() -> Self {
        Self::made_by(Some(Arc::new(Maker::new())), true)
    }

    /// Starts another new one, certified by the same maker if this one is certified.
    ///
    /// # Panics
    ///
    /// As [`Swtpm::start`].
    #[must_use]
    pub fn other(&self) -> Self {
        Self::made_by(self.maker.clone(), self.built_in)
    }

    /// Where it listens: `unix:` and a path.
    pub fn path(&self) -> String {
        format!("unix:{}", socket(self.state.path()).display())
    }

    /// Where its control channel listens, for the `swtpm` backend of QEMU and of the TPM software stack.
    pub fn control_socket(&self) -> PathBuf {
        control_socket(self.state.path())
    }

    /// The folder of its state.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Takes its power away without a warning, and gives it back.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn power_cycle(&mut self) {
        stop(&mut self.running);
        self.running = power_up(self.state.path(), self.built_in);
    }

    /// The certificate (DER) that its endorsement key's is issued by.
    ///
    /// # Panics
    ///
    /// When it is not certified.
    pub fn ca_certificate(&self) -> Vec<u8> {
        self.maker.as_ref().expect("a certified TPM").certificate("issuercert.pem")
    }

    /// The certificate (DER) of the root above that.
    ///
    /// # Panics
    ///
    /// When it is not certified.
    pub fn root_certificate(&self) -> Vec<u8> {
        self.maker.as_ref().expect("a certified TPM").certificate("swtpm-localca-rootca-cert.pem")
    }

    fn made_by(maker: Option<Arc<Maker>>, built_in: bool) -> Self {
        let state = tempfile::tempdir().expect("a folder for the TPM's state");
        if let Some(maker) = &maker {
            maker.make(state.path());
        }
        let running = power_up(state.path(), built_in);
        Self { state, maker, built_in, running }
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        stop(&mut self.running);
    }
}

/// Who makes TPMs and certifies their endorsement keys.
#[derive(Debug)]
struct Maker(TempDir);

impl Maker {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the maker's keys");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let authority = format!(
            "statedir = {}\nsigningkey = {}\nissuercert = {}\ncertserial = {}\n",
            folder.path().display(),
            at("signkey.pem"),
            at("issuercert.pem"),
            at("certserial")
        );
        let options = "--platform-manufacturer AgentKeysTest\n--platform-version 1.0\n--platform-model swtpm\n";
        let setup = format!(
            "create_certs_tool = {}\ncreate_certs_tool_config = {}\ncreate_certs_tool_options = {}\n\
             active_pcr_banks = sha256\n",
            program("swtpm_localca").display(),
            at("localca.conf"),
            at("localca.options")
        );
        for (name, text) in [("localca.conf", &*authority), ("localca.options", options), ("setup.conf", &*setup)] {
            fs::write(folder.path().join(name), text).expect("a file in a new folder");
        }
        Self(folder)
    }

    /// Makes a TPM with its keys and certificates.
    fn make(&self, state: &Path) {
        let mut command = command("swtpm_setup");
        command.args([
            "--tpm2",
            "--createek",
            "--ecc",
            "--create-ek-cert",
            "--lock-nvram",
            "--overwrite",
            "--tpmstate",
        ]);
        command.arg(state).arg("--config").arg(self.0.path().join("setup.conf"));
        command.arg("--tpm").arg(format!("{} socket", program("swtpm").display()));
        let made = command.stdin(Stdio::null()).output().expect("swtpm_setup starts");
        let said = || [made.stdout.as_slice(), &made.stderr].concat();
        assert!(made.status.success(), "no TPM was made: {}", String::from_utf8_lossy(&said()));
    }

    fn certificate(&self, name: &str) -> Vec<u8> {
        let text = fs::read(self.0.path().join(name)).expect("the maker has a certificate");
        pem::parse(text).expect("a certificate in PEM").into_contents()
    }
}

fn power_up(state: &Path, built_in: bool) -> Child {
    let (socket, control) = (socket(state), control_socket(state));
    let pid = state.join("pid");
    for old in [&socket, &control, &pid] {
        let _ = fs::remove_file(old);
    }
    let mut command = command("swtpm");
    command.args(["socket", "--tpm2"]);
    command.arg("--tpmstate").arg(format!("dir={}", state.display()));
    if !built_in {
        command.args(["--flags", "not-need-init,startup-clear"]);
        command.arg("--server").arg(format!("type=unixio,path={}", socket.display()));
    }
    command.arg("--ctrl").arg(format!("type=unixio,path={}", control.display()));
    command.arg("--pid").arg(format!("file={}", pid.display()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = command.spawn().expect("swtpm starts");
    // It writes its process id once it listens.
    while !fs::read(&pid).is_ok_and(|id| !id.is_empty()) {
        let ended = running.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "swtpm ended at once: {ended:?}");
        thread::yield_now();
    }
    running
}

fn stop(running: &mut Child) {
    let _ = running.kill();
    let _ = running.wait();
}

fn socket(state: &Path) -> PathBuf {
    state.join("tpm.sock")
}

/// As the TPM software stack expects it: beside the other one.
fn control_socket(state: &Path) -> PathBuf {
    state.join("tpm.sock.ctrl")
}

fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.env_clear().env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// Where one of the programs is: they lie in one folder.
#[expect(clippy::disallowed_methods, reason = "tests have no command line of their own")]
fn program(name: &str) -> PathBuf {
    let swtpm = std::env::var("AGENTKEYS_SWTPM").expect("AGENTKEYS_SWTPM is set: run `cargo xtask test`");
    Path::new(&swtpm).with_file_name(name)
}
