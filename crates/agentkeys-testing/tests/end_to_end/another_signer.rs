//! The signer of the settings is another one than before.

use agentkeys_testing::{Process, System};
use serde_json::Value;
use tokio::process::Command;

use crate::machine::{Machine, document};

const ADA: &str = "ada@example.com";

/// A development signer with a master secret of its own.
async fn another_signer(system: &System, machine: &Machine) -> (Process, String) {
    let mut command = Process::command(Process::binary("agentkeys-mock-server"));
    command.args(["--listen", "127.0.0.1:0", "--aws-listen", "127.0.0.1:0", "--smtp-listen", "127.0.0.1:0"]);
    command.args(["--broker-url", &system.broker_url(), "--trust-issuer", &system.broker_url()]);
    command.arg("--state").arg(machine.path().join("parts")).env("DEV_KEY_SERVICE_MASTER_SECRET", "a5".repeat(32));
    let mut process = Process::start(command);
    let address = process.address_in("development parts listen").await;
    (process, format!("http://{address}"))
}

#[tokio::test]
async fn init_names_the_wallet_of_the_signer_that_is_there_and_proves_it_where_it_is_another_one() {
    let (machine, system) = (Machine::with_credential(), System::start().await);
    let (_process, other_url) = another_signer(&system, &machine).await;
    let init = |signer_url: &str| -> Command {
        let mut command = system.used_by(machine.init(&["--json"]));
        command.env("AGENTKEYS_SIGNER_URL", signer_url);
        command
    };
    let first = document(&system.init(machine.init(&["--json", "--email", ADA]), ADA).await);

    let at_the_other = document(&init(&other_url).output().await.unwrap());
    let again_at_the_first = document(&init(&system.signer_url()).output().await.unwrap());
    let again_at_the_other = document(&init(&other_url).output().await.unwrap());
    let away = document(&init("http://127.0.0.1:1").output().await.unwrap());
    let whoami = document(&system.used_by(machine.agentkeys(&["whoami", "--json"])).output().await.unwrap());

    assert_ne!(at_the_other["wallet"], first["wallet"]);
    assert_eq!(at_the_other["signed_in"], false);
    assert_eq!(again_at_the_first["wallet"], first["wallet"]);
    assert_eq!(again_at_the_other["wallet"], at_the_other["wallet"]);
    let proved: Vec<&Value> = whoami["wallets"].as_array().unwrap().iter().map(|wallet| &wallet["address"]).collect();
    assert!(whoami["wallets"].as_array().unwrap().iter().all(|wallet| wallet["status"] == "proved"), "{whoami}");
    assert_eq!(proved.len(), 2);
    assert!(proved.contains(&&at_the_other["wallet"]) && proved.contains(&&away["wallet"]), "{away}");
}
