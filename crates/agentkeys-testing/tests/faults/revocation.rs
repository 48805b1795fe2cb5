//! Sessions that are revoked while they are in use: refused at once, and after a crash and a restore.

use std::process::Output;

use agentkeys_testing::Process;

async fn revocation(arguments: &[&str]) -> Output {
    let bench = Process::binary("agentkeys-bench");
    let bin = bench.parent().unwrap();
    let mut command = Process::command(&bench);
    command.args(["revocation", "--trials", "64", "--bin"]).arg(bin).args(arguments).kill_on_drop(true);
    command.output().await.unwrap()
}

#[tokio::test]
async fn a_revoked_session_is_accepted_nowhere_again() {
    let output = revocation(&[]).await;

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for expected in [
        "revocation: 64 sessions",
        "at the broker: 0 accepted",
        "restart: of 64 0 accepted at the broker, 0 at the signer",
        "restore: of 72 0 accepted at the broker, 0 at the signer",
    ] {
        assert!(said.contains(expected), "{said}");
    }
}

/// The planted fault: it was never revoked.
#[tokio::test]
async fn a_session_that_goes_on_is_found() {
    let output = revocation(&["--plant", "session"]).await;

    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for expected in ["at the broker: 1 accepted", "at the signer: 1 still accepted", "restart: of 64 1 accepted"] {
        assert!(said.contains(expected), "{said}");
    }
}

/// The planted fault: nothing beside the store tells that it is an older copy.
#[tokio::test]
async fn sessions_that_a_restore_brings_back_are_found() {
    let output = revocation(&["--plant", "restore"]).await;

    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("restore: of 72 72 accepted at the broker, 72 at the signer"), "{said}");
}
