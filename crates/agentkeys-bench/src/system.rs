use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use agentkeys_testing::{Answer, CodesRead};
use anyhow::Context;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, free_address};

/// A mail on this machine that takes longer is not coming.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What the broker counts, none of which may stop a bench.
const LIMITS: [&str; 9] = [
    "mails_per_address_and_hour",
    "mails_per_source_and_hour",
    "mails_per_hour",
    "codes_per_source_and_hour",
    "codes_per_hour",
    "sign_ins_per_source_and_hour",
    "sign_ins_per_hour",
    "links_per_account_and_hour",
    "mints_per_account_and_minute",
];
const NO_LIMIT: usize = 4_000_000_000;

/// The real servers, each a process, on one temporary state.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) broker: Process,
    pub(crate) development: Process,
    pub(crate) aws: SocketAddr,
    bin: PathBuf,
    state: TempDir,
    http: reqwest::Client,
    codes: CodesRead,
}

impl System {
    pub(crate) async fn start(bin: &Path) -> anyhow::Result<Self> {
        Self::start_with(bin, tempfile::tempdir()?, &[], "").await
    }

    /// As [`System::start`], in a folder of its own, with these limits and with more sections in the broker's settings.
    pub(crate) async fn start_with(
        bin: &Path,
        state: TempDir,
        limits: &[(&str, usize)],
        sections: &str,
    ) -> anyhow::Result<Self> {
        let (broker, development) = (free_address()?, free_address()?);
        let (aws, smtp) = (free_address()?, free_address()?);
        let config = format!(
            "listen = \"{broker}\"\nmetrics_listen = \"{}\"\nstate = \"{}\"\nissuer = \"http://{broker}\"\n\
             [mail]\nsmtp = \"smtp://{smtp}\"\n[limits]\n{}{sections}",
            free_address()?,
            state.path().join("broker").display(),
            limits_of(limits),
        );
        fs::write(state.path().join("broker.toml"), config)?;
        let log = state.path().join("log");
        let mut command = Command::new(bin.join("agentkeys-mock-server"));
        command
            .args(["--listen", &development.to_string(), "--aws-listen", &aws.to_string()])
            .args(["--smtp-listen", &smtp.to_string(), "--broker-url", &format!("http://{broker}")])
            .args(["--trust-issuer", &format!("http://{broker}"), "--state"])
            .arg(state.path().join("dev"))
            .env("DEV_KEY_SERVICE_MASTER_SECRET", "07".repeat(32));
        let broker = Self::start_broker(bin, state.path(), broker).await?;
        let development = Process::start(&mut command, development, &log).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { broker, development, aws, bin: bin.to_owned(), state, http, codes: CodesRead::default() })
    }

    async fn start_broker(bin: &Path, state: &Path, address: SocketAddr) -> anyhow::Result<Process> {
        let mut command = Command::new(bin.join("agentkeys-broker"));
        command.arg("--config").arg(state.join("broker.toml"));
        Process::start(&mut command, address, &state.join("log")).await
    }

    /// Starts another broker at this address, on the same settings and keys and, unless it has its own, on the same store.
    pub(crate) async fn start_sibling(&self, address: SocketAddr, state: Option<&Path>) -> anyhow::Result<Process> {
        let mut command = Command::new(self.bin.join("agentkeys-broker"));
        command.arg("--config").arg(self.state.path().join("broker.toml")).args(["--listen", &address.to_string()]);
        command.args(["--metrics-listen", &free_address()?.to_string()]);
        if let Some(state) = state {
            command.arg("--state").arg(state);
        }
        Process::start(&mut command, address, &self.state.path().join("log")).await
    }

    /// Ends the broker as a crash would, and starts it again on its state.
    pub(crate) async fn restart_broker(self) -> anyhow::Result<Self> {
        let address = self.broker.address;
        self.broker.kill();
        let broker = Self::start_broker(&self.bin, self.state.path(), address).await?;
        Ok(Self { broker, ..self })
    }

    /// Has the broker end, something happen to its state, and the broker start again on that.
    pub(crate) async fn stop_broker_for(self, act: impl FnOnce(&Path) -> std::io::Result<()>) -> anyhow::Result<Self> {
        let address = self.broker.address;
        self.broker.stop().await.context("the broker")?;
        act(&self.state.path().join("broker"))?;
        let broker = Self::start_broker(&self.bin, self.state.path(), address).await?;
        Ok(Self { broker, ..self })
    }

    /// The broker's own command, on its settings.
    pub(crate) fn broker_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join("agentkeys-broker"));
        command.args(arguments).arg("--config").arg(self.state.path().join("broker.toml"));
        command
    }

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// The folder of the binaries.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Posts to one of the servers and expects success.
    pub(crate) async fn post(
        &self,
        address: SocketAddr,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let mut request = self.http.post(format!("http://{address}{path}")).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = Answer::read(request.send().await?).await;
        anyhow::ensure!((200..300).contains(&answer.status), "{path}: {answer:?}");
        Ok(answer)
    }

    /// Asks for a code and reads it from the mailbox; returns what ends the sign-in.
    pub(crate) async fn mailed_code(&self, email: &str) -> anyhow::Result<Value> {
        let broker = self.broker.address;
        let started = self.post(broker, "/v1/auth/email/start", None, &json!({"email": email})).await?;
        let code = tokio::time::timeout(LONGEST_WAIT, self.next_code(email)).await.context("no mail")??;
        Ok(json!({"request_id": started.text("request_id"), "code": code}))
    }

    /// The code of a mail to `email` that is on its way, and was not read before.
    pub(crate) async fn next_code(&self, email: &str) -> anyhow::Result<String> {
        let mailbox = format!("http://{}/mail?to={email}", self.development.address);
        loop {
            let mails = self.http.get(&mailbox).header("accept", "application/json").send().await?;
            let mails = Answer::read(mails).await;
            let texts = mails.body.as_array().context("no list of mails")?.iter();
            if let Some(code) = self.codes.newest(texts.filter_map(|mail| mail["text"].as_str())) {
                return Ok(code);
            }
        }
    }

    /// Signs in; returns the session token and the account.
    pub(crate) async fn sign_in(&self, email: &str) -> anyhow::Result<(String, String)> {
        let answer = self.mailed_code(email).await?;
        let signed_in = self.post(self.broker.address, "/v1/auth/email/verify", None, &answer).await?;
        Ok((signed_in.text("session_token").to_owned(), signed_in.text("omni_account").to_owned()))
    }

    /// Derives and links the account's wallet; returns its address.
    pub(crate) async fn link_wallet(&self, token: &str, account: &str) -> anyhow::Result<String> {
        let derive = json!({"omni_account": account});
        let derived = self.post(self.development.address, "/dev/derive-address", Some(token), &derive).await?;
        let address = derived.text("address").to_owned();
        self.post(self.broker.address, "/v1/wallet/link", Some(token), &json!({"address": address})).await?;
        Ok(address)
    }

    /// Asks for a challenge and has it signed; returns what ends the proof.
    pub(crate) async fn signed_challenge(&self, token: &str, account: &str, address: &str) -> anyhow::Result<Value> {
        let start = json!({"address": address});
        let challenge = self.post(self.broker.address, "/v1/auth/wallet/start", Some(token), &start).await?;
        let message = hex::encode(challenge.text("siwe_message"));
        let sign = json!({"omni_account": account, "message_hex": message});
        let signed = self.post(self.development.address, "/dev/sign-message", Some(token), &sign).await?;
        Ok(json!({"request_id": challenge.text("request_id"), "signature": signed.text("signature")}))
    }

    /// Proves the wallet; returns the wallet session token.
    pub(crate) async fn prove_wallet(&self, token: &str, account: &str, address: &str) -> anyhow::Result<String> {
        let answer = self.signed_challenge(token, account, address).await?;
        let proved = self.post(self.broker.address, "/v1/auth/wallet/verify", Some(token), &answer).await?;
        Ok(proved.text("session_token").to_owned())
    }
}

/// The lines of the settings that say so, and that all else has no limit.
fn limits_of(limits: &[(&str, usize)]) -> String {
    let most = |name: &str| limits.iter().find(|(known, _)| *known == name).map_or(NO_LIMIT, |(_, most)| *most);
    LIMITS.map(|name| format!("{name} = {}\n", most(name))).concat()
}

/// Where a sync costs nothing, so that the disk does not drown what is looked for.
pub(crate) fn folder_in_memory() -> anyhow::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    Ok(TempDir::new_in(parent)?)
}
