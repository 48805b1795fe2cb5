//! From the development signer to the worker by one variable.

use std::path::Path;

use agentkeys_client::Binding;
use agentkeys_testing::{Home, System};
use serde_json::Value;
use tokio::process::Command;

/// A machine with its own session, whose settings name no signer.
struct Machine {
    home: Home,
    environment: Vec<(&'static str, String)>,
}

impl Machine {
    fn new(system: &System) -> Self {
        let home = Home::default();
        let credentials = home.path().join("credentials");
        std::fs::create_dir(&credentials).unwrap();
        std::fs::write(credentials.join("agentkeys-session-key"), [7; 32]).unwrap();
        let folder = home.path().join("config/agentkeys");
        std::fs::create_dir_all(&folder).unwrap();
        let aws = format!("[aws]\nrole_arn = \"{}\"\nendpoint_url = \"{}\"\n", System::ROLE_ARN, system.aws_url());
        std::fs::write(folder.join("config.toml"), aws).unwrap();
        let text = |path: &Path| path.display().to_string();
        let machine = system.worker().machine();
        let environment = vec![
            ("CREDENTIALS_DIRECTORY", text(&credentials)),
            ("AGENTKEYS_BROKER_URL", system.broker_url()),
            ("AGENTKEYS_ATTESTATION_POLICY", text(&machine.policy())),
            ("AGENTKEYS_RELEASE_KEY", machine.release_key()),
        ];
        Self { home, environment }
    }

    /// A command with the settings of this machine, and this signer.
    fn agentkeys(&self, signer_url: &str, arguments: &[&str]) -> Command {
        let mut command = self.home.agentkeys(&["--no-input", "--json", "--store", "file"]);
        command.args(arguments).env("AGENTKEYS_SIGNER_URL", signer_url);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Signs in and gets credentials; gives the wallet.
async fn wallet_of(system: &System, signer_url: &str, email: &str) -> String {
    let machine = Machine::new(system);
    let init = machine.agentkeys(signer_url, &["init", "--email", email]);
    let signed_in = document(&system.init_as_it_is(init, email).await);
    let credentials = machine.agentkeys(signer_url, &["aws", "credential-process"]).output().await.unwrap();
    assert!(document(&credentials)["AccessKeyId"].as_str().unwrap().starts_with("ASIA"), "{signer_url}");
    signed_in["wallet"].as_str().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn nothing_but_the_signers_url_differs() {
    let system = System::start_with_worker().await;

    let at_development = wallet_of(&system, &system.development_signer_url(), "ada@example.com").await;
    let at_worker = wallet_of(&system, &system.signer_url(), "grace@example.com").await;

    for (name, wallet, is_the_workers) in [("ada", at_development, false), ("grace", at_worker, true)] {
        let session = system.sign_in(name, Binding::DeviceKey).await;
        let derived = system.flow().signer.derive_address(&session, session.omni_account).await.unwrap();
        assert_eq!(derived.to_string() == wallet, is_the_workers, "{name}");
    }
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn init_shows_the_key_of_this_device_and_who_else_has_the_account() {
    const ADA: &str = "ada@example.com";
    let system = System::start_with_worker().await;
    let (laptop, desktop) = (Machine::new(&system), Machine::new(&system));
    let init =
        |machine: &Machine, flags: &[&str]| machine.agentkeys(&system.signer_url(), &[&["init"], flags].concat());

    let first = document(&system.init_as_it_is(init(&laptop, &["--email", ADA]), ADA).await);
    let second = document(&system.init_as_it_is(init(&desktop, &["--email", ADA]), ADA).await);
    let mut told = desktop.home.agentkeys(&["--no-input", "--store", "file", "init"]);
    told.env("AGENTKEYS_SIGNER_URL", system.signer_url());
    told.envs(desktop.environment.iter().map(|(name, value)| (name, value)));
    let told = String::from_utf8(told.output().await.unwrap().stderr).unwrap();

    let devices = |document: &Value| document["devices"]["devices"].as_array().unwrap().clone();
    assert_eq!((devices(&first).len(), &devices(&first)[0]["pinned_by"]), (1, &Value::from("first_use")));
    let (seen, is_this) = (devices(&second), |device: &&Value| device["is_this"] == true);
    assert_eq!((seen.len(), &seen.iter().find(is_this).unwrap()["pinned_by"]), (2, &Value::from("recovery")));
    let laptops: String = devices(&first)[0]["key"].as_str().unwrap().chars().take(6).collect();
    for part in ["  Device   ", ", by a sign-in)", &format!("  Another  {laptops} "), "`agentkeys devices list`"] {
        assert!(told.contains(part), "no `{part}`: {told}");
    }
}

fn document(ended: &std::process::Output) -> Value {
    assert!(ended.status.success(), "{}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap()
}
