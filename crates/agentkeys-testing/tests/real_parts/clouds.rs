//! The clients of Google, Azure and Vault from `PyPI`, with JWTs as `agentkeys` and the daemon give them.
//!
//! Their clouds are played: what is held against others' work is what the clients take, and what they would send.

use std::path::{Path, PathBuf};

use agentkeys_testing::{Process, System};
use agentkeys_types::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::{doors::machine::Machine, parts::AwsClient};

const GOOGLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/python/google_executable.py");
const AZURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/python/azure_federated.py");
const VAULT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/python/vault_login.py");
const VERIFY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/python/verify_claims.py");

const POOL: &str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/agentkeys";
const ENTRA: &str = "api://AzureADTokenExchange";
const OPENBAO: &str = "openbao";
const CLAUDE: &str = "claude";

#[tokio::test]
#[ignore = "needs google-auth: cargo xtask test"]
async fn google_auth_runs_the_command_and_takes_its_jwt() {
    let bench = Bench::start().await;
    let (persons, agents) = (bench.google(POOL, None).await, bench.google(POOL, Some(CLAUDE)).await);

    let audience = format!("https:{POOL}");
    bench.verify(persons["subject_token"].as_str().unwrap(), &audience, None).await;
    bench.verify(agents["subject_token"].as_str().unwrap(), &audience, Some(CLAUDE)).await;
}

#[tokio::test]
#[ignore = "needs google-auth: cargo xtask test"]
async fn google_auth_is_told_why_there_is_no_jwt() {
    let bench = Bench::start().await;

    let stranger = bench.google(POOL, Some("codex")).await;
    let elsewhere = bench.google("//iam.googleapis.com/projects/2", None).await;

    for (refused, code) in [(stranger, "agent_unknown"), (elsewhere, "audience_not_allowed")] {
        let message = refused["message"].as_str().unwrap();
        assert_eq!(refused["error"], "RefreshError", "{refused}");
        assert!(message.starts_with(&format!("Executable returned unsuccessful response: code: {code}")), "{message}");
    }
}

#[tokio::test]
#[ignore = "needs azure-identity: cargo xtask test"]
async fn azure_identity_sends_the_jwt_of_a_file_that_is_kept_or_was_written_once() {
    let bench = Bench::start().await;
    let once = bench.file_of_command(ENTRA).await;

    for (file, agent) in [(bench.kept_file("azure").await, Some(CLAUDE)), (once, None)] {
        let sent = bench.run(&[AZURE, &file.display().to_string()]).await;

        let form = &sent["form"];
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert_eq!(form["grant_type"], "client_credentials");
        bench.verify(form["client_assertion"].as_str().unwrap(), ENTRA, agent).await;
    }
}

#[tokio::test]
#[ignore = "needs hvac: cargo xtask test"]
async fn hvac_logs_in_with_the_jwt_of_a_file_that_is_kept_or_was_written_once() {
    let bench = Bench::start().await;
    let once = bench.file_of_command(OPENBAO).await;

    for (file, agent) in [(bench.kept_file("openbao").await, Some(CLAUDE)), (once, None)] {
        let sent = bench.run(&[VAULT, &file.display().to_string(), "agents"]).await;

        assert_eq!((&sent["method"], &sent["body"]["role"]), (&json!("POST"), &json!("agents")));
        assert!(sent["url"].as_str().unwrap().ends_with("/v1/auth/jwt/login"), "{sent}");
        bench.verify(sent["body"]["jwt"].as_str().unwrap(), OPENBAO, agent).await;
    }
}

/// A machine whose daemon keeps a file for each relying party, and a broker that lets JWTs be minted for all of them.
struct Bench {
    system: System,
    machine: Machine,
    wallet: String,
    _daemon: Process,
}

impl Bench {
    async fn start() -> Self {
        let audiences = [&format!("https:{POOL}"), ENTRA, OPENBAO, "sts.amazonaws.com"];
        let system = System::start_with(&format!("audiences = {audiences:?}\n")).await;
        let ada = system.walk("ada", &mut ()).await.unwrap();
        let kept = |name: &str, audience: &str, home: &Path| {
            let path = home.join(name);
            format!(
                "[daemon.token_files.{name}]\npath = \"{}\"\naudience = \"{audience}\"\nagent = \"{CLAUDE}\"\n",
                path.display()
            )
        };
        let settings = |home: &Path| [kept("azure", ENTRA, home), kept("openbao", OPENBAO, home)].concat();
        let machine = Machine::with(&ada.session, &system, settings).await;
        machine.name_agent(CLAUDE, &[], &audiences, &system, &ada.session).await;
        let daemon = machine.start_daemon().await;
        Self { system, machine, wallet: ada.wallet.to_lowercase(), _daemon: daemon }
    }

    /// What google-auth makes of `agentkeys token` for a provider of a pool.
    async fn google(&self, provider: &str, agent: Option<&str>) -> Value {
        let agentkeys = Process::binary("agentkeys").display().to_string();
        let agent = agent.map(|name| format!(" --agent {name}")).unwrap_or_default();
        let command = format!("{agentkeys} token --audience https:{provider} --format google{agent}");
        self.run(&[GOOGLE, &command, provider]).await
    }

    /// A file of the daemon's, as soon as it is there.
    async fn kept_file(&self, name: &str) -> PathBuf {
        let path = self.machine.path().join(name);
        self.machine.wait_for(&path).await;
        path
    }

    /// A file that a command has written.
    async fn file_of_command(&self, audience: &str) -> PathBuf {
        let path = self.machine.path().join("once");
        let mut token = self.machine.agentkeys(&["token", "--once", "--audience", audience, "--file"]);
        let ended = token.arg(&path).output().await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        path
    }

    /// What a script prints, at home here.
    async fn run(&self, arguments: &[&str]) -> Value {
        let python = AwsClient::boto3("");
        let python = self.machine.environment().fold(python, |python, (name, value)| python.with(name, &value));
        serde_json::from_str(&python.run(arguments).await.stdout()).unwrap()
    }

    /// Verifies a JWT as somebody else would, from the keys that the broker publishes; the rest must be right too.
    async fn verify(&self, jwt: &str, audience: &str, agent: Option<&str>) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let issuer = self.system.broker_url();
        let keys: Value =
            http.get(format!("{issuer}/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap();
        let given = json!({"issuer": issuer, "audience": audience, "keys": keys, "jwt": jwt});
        let said = AwsClient::boto3("").run_with_input(&[VERIFY], &given.to_string()).await.stdout();

        let claims: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(claims["sub"], format!("wallet:{}", self.wallet));
        assert_eq!(claims["act"], agent.map_or(Value::Null, |name| json!({"sub": format!("agent:{name}")})));
        let [begins, ends] = ["iat", "exp"].map(|claim| claims[claim].as_i64().unwrap());
        assert_eq!(ends - begins, 300);
        assert!(ends > SystemClock.now().as_unix());
    }
}
