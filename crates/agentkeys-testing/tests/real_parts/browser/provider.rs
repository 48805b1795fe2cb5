use std::process::Stdio;

use agentkeys_testing::Process;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use crate::parts;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/npm/provider.mjs");

/// npm's oidc-provider on a free port, with one client that must use PKCE. Killed when dropped.
///
/// Who signs in there is who they say they are: `g-1001` is Ada, `g-1002` is Grace, `g-1003` is Mallory, who
/// claims Ada's address, unverified, and `g-1004` has no address. Any other login `x` is `x@example.com`.
pub(crate) struct OpenIdProvider {
    issuer: String,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl OpenIdProvider {
    /// The client, which names itself and its secret in the `Authorization` header.
    pub(crate) const CLIENT_ID: &str = "agentkeys";
    /// The client's secret, with what must be form-encoded before it goes there.
    pub(crate) const CLIENT_SECRET: &str = "a secret: 100%+/=";

    /// Starts one that signs with RS256, as most do.
    pub(crate) async fn start() -> Self {
        Self::start_signing_with("RS256").await
    }

    /// Starts one that signs with RS256 or ES256.
    pub(crate) async fn start_signing_with(algorithm: &str) -> Self {
        let mut command = Process::command("node");
        command.arg(SCRIPT).arg(parts::at("AGENTKEYS_TEST_OIDC_PROVIDER"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut provider = Self { issuer: String::new(), input, output, _process: process };
        let setup = json!({
            "algorithm": algorithm,
            "client_id": Self::CLIENT_ID,
            "client_secret": Self::CLIENT_SECRET,
            "accounts": accounts(),
        });
        provider.issuer = provider.ask(&setup.to_string(), "ready").await;
        provider
    }

    /// Its URL.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Lets it send people back to this URI, and to exactly this one.
    pub(crate) async fn allow_redirect(&mut self, uri: &str) {
        let allowed = self.ask(uri, "allowed").await;
        assert_eq!(allowed, uri);
    }

    async fn ask(&mut self, line: &str, answer: &str) -> String {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let line = self.output.next_line().await.unwrap().expect("oidc-provider runs");
        let (word, rest) = line.split_once(' ').unwrap();
        assert_eq!(word, answer, "{line}");
        rest.to_owned()
    }
}

fn accounts() -> Value {
    json!({
        "g-1001": {"email": "ada@example.com", "email_verified": true, "name": "Ada"},
        "g-1002": {"email": "grace@example.com", "email_verified": true, "name": "Grace"},
        "g-1003": {"email": "ada@example.com", "email_verified": false, "name": "Mallory"},
        "g-1004": {"name": "Nobody"},
    })
}
