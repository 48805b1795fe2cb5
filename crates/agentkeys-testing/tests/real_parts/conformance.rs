//! The signer's wire contract, held against the development signer and the TEE worker by the same checks.

use std::process::Output;

use agentkeys_client::{Binding, Conformance};
use agentkeys_testing::{Home, System};
use serde_json::Value;

const ADA: &str = "ada@example.com";

/// Makes every check, with the sessions that must be refused.
async fn conformance(system: &System) -> Conformance {
    let flow = system.flow();
    let session = system.sign_in("ada", Binding::DeviceKey).await;
    let spare = system.spare_sessions("ada", &session).await;
    Box::pin(Conformance::check(&flow, &session, spare)).await.unwrap()
}

/// Every check was made, and passes.
fn assert_conforms(conformance: &Conformance) {
    let failures: Vec<_> = conformance.failures().collect();
    assert!(failures.is_empty(), "{failures:#?}");
    let left_out: Vec<_> = conformance.left_out().collect();
    assert!(left_out.is_empty(), "{left_out:#?}");
}

/// `agentkeys signer conformance`, as a person who has just signed in calls it.
async fn by_command(system: &System) -> Output {
    let home = Home::default();
    let credential = home.path().join("credentials/agentkeys-session-key");
    std::fs::create_dir(credential.parent().unwrap()).unwrap();
    std::fs::write(&credential, [7; 32]).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = home.agentkeys(&["--no-input", "--json", "--store", "file"]);
        command.args(arguments).env("CREDENTIALS_DIRECTORY", credential.parent().unwrap());
        command
    };
    let init = system.init(command(&["init", "--email", ADA]), ADA).await;
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    system.used_by(command(&["signer", "conformance"])).output().await.unwrap()
}

/// The command exits well and says of each check how it ended.
fn assert_reports(ended: &Output) {
    let text = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&ended.stderr));
    let report: Value = serde_json::from_str(&text).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let passed = checks.iter().filter(|check| check["outcome"] == "passed").count();
    assert!(passed >= 40, "{passed} of {}", checks.len());
    for check in checks.iter().filter(|check| check["outcome"] == "left_out") {
        assert!(check["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{check}");
    }
}

mod development {
    use super::*;

    #[tokio::test]
    async fn the_development_signer_conforms() {
        let system = System::start().await;

        let conformance = Box::pin(conformance(&system)).await;

        assert_eq!(conformance.purpose, None);
        assert_conforms(&conformance);
    }

    #[tokio::test]
    async fn the_command_finds_that_the_development_signer_conforms() {
        let system = System::start().await;

        assert_reports(&by_command(&system).await);
    }
}

mod worker {
    use agentkeys_api::attestation::SigningPurpose;

    use super::*;

    #[tokio::test]
    #[ignore = "needs swtpm: cargo xtask test"]
    async fn the_worker_conforms() {
        let system = System::start_with_worker().await;

        let conformance = Box::pin(conformance(&system)).await;

        assert_eq!(conformance.purpose, Some(SigningPurpose::WalletProof));
        assert_conforms(&conformance);
    }

    #[tokio::test]
    #[ignore = "needs swtpm: cargo xtask test"]
    async fn the_command_finds_that_the_worker_conforms() {
        let system = System::start_with_worker().await;

        assert_reports(&by_command(&system).await);
    }
}
