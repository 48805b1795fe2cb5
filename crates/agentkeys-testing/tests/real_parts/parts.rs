//! Where the real parts are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use agentkeys_testing::Process;
use agentkeys_types::AwsCredentials;
use secrecy::ExposeSecret;
use tokio::{io::AsyncWriteExt, process::Command};

/// Where `cargo xtask test` has put a part.
pub(crate) fn at(variable: &str) -> String {
    look_up(variable).unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`"))
}

/// What a variable says, if it is set.
#[expect(clippy::disallowed_methods, reason = "tests have no command line of their own")]
pub(crate) fn look_up(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// The same JWT with one digit of its signature exchanged.
pub(crate) fn with_altered_signature(jwt: &str) -> String {
    let (before, rest) = jwt.split_at(jwt.len() - 20);
    let digit = if rest.starts_with('A') { 'B' } else { 'A' };
    format!("{before}{digit}{}", &rest[1..])
}

/// Somebody else's client of AWS, which knows nothing but what it is told here.
pub(crate) struct AwsClient {
    program: PathBuf,
    /// The program that starts it, with arguments; none where it is started as it is.
    starter: Vec<String>,
    home: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl AwsClient {
    /// The AWS CLI, for the endpoint at `url`.
    pub(crate) fn cli(url: &str) -> Self {
        Self::new(Self::program("aws"), url)
    }

    /// Python with boto3, for the endpoint at `url`.
    pub(crate) fn boto3(url: &str) -> Self {
        Self::new(Self::program("python3"), url)
    }

    /// Node.js, whose scripts must be told where the AWS SDK for JavaScript is, for the endpoint at `url`.
    pub(crate) fn javascript(url: &str) -> Self {
        Self::new("node".into(), url)
    }

    /// The program with the AWS SDK for Rust, for the endpoint at `url`.
    pub(crate) fn rust(url: &str) -> Self {
        Self::new(at("AGENTKEYS_TEST_AWS_SDK_RUST").into(), url)
    }

    /// Where one of the programs is.
    pub(crate) fn program(name: &str) -> PathBuf {
        Path::new(&at("AGENTKEYS_TEST_AWS")).join(name)
    }

    fn new(program: PathBuf, url: &str) -> Self {
        let client = Self { program, starter: Vec::new(), home: tempfile::tempdir().unwrap(), environment: Vec::new() };
        client.with("AWS_ENDPOINT_URL", url).with("AWS_REGION", "us-east-1").with("AWS_DEFAULT_REGION", "us-east-1")
    }

    /// The same with one more environment variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with credentials in its environment.
    pub(crate) fn with_credentials(self, credentials: &AwsCredentials) -> Self {
        self.with("AWS_ACCESS_KEY_ID", &credentials.access_key_id)
            .with("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.expose_secret())
            .with("AWS_SESSION_TOKEN", credentials.session_token.expose_secret())
    }

    /// The same, started by another program: the words before its own.
    pub(crate) fn behind(mut self, starter: &[&str]) -> Self {
        self.starter = starter.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The same with this in its configuration, behind `[default]`.
    pub(crate) fn with_configuration(self, settings: &str) -> Self {
        fs::write(self.home().join("config"), format!("[default]\n{settings}\n")).unwrap();
        self
    }

    /// The same with the file of a JWT, which it exchanges by itself.
    pub(crate) fn with_web_identity(self, file: &Path, role_arn: &str) -> Self {
        self.with("AWS_WEB_IDENTITY_TOKEN_FILE", &file.display().to_string())
            .with("AWS_ROLE_ARN", role_arn)
            .with("AWS_ROLE_SESSION_NAME", "agent")
    }

    /// A folder of its own, gone with it.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, "").await
    }

    /// Runs it with something to read.
    pub(crate) async fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self.command().args(arguments).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        Ran(child.wait_with_output().await.unwrap())
    }

    fn command(&self) -> Command {
        let mut command = match self.starter.split_first() {
            Some((first, others)) => {
                let mut command = Process::command(first);
                command.args(others).arg(&self.program);
                command
            }
            None => Process::command(&self.program),
        };
        // Nothing of this machine's: no configuration, no metadata service, no certificates, no proxy.
        command.env("HOME", self.home()).env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_MAX_ATTEMPTS", "1");
        command.env("AWS_CONFIG_FILE", self.home().join("config"));
        command.env("AWS_SHARED_CREDENTIALS_FILE", self.home().join("credentials"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir(self.home());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// A program that has ended.
pub(crate) struct Ran(Output);

impl Ran {
    /// What it wrote, if it ended well.
    pub(crate) fn stdout(&self) -> String {
        assert!(self.0.status.success(), "{}\n{}", self.0.status, self.stderr());
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    /// What it complained of, if it ended badly.
    pub(crate) fn complaint(&self) -> String {
        assert!(!self.0.status.success(), "it ended well: {}", String::from_utf8_lossy(&self.0.stdout));
        self.stderr()
    }

    /// What it wrote beside that.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}
