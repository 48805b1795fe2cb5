//! Signing keys that are rotated while tokens are made and verified: nobody notices.

use agentkeys_testing::Process;

/// The bench for a few rotations, as far apart as a signer must have them that looks for new keys every 5 s at most.
fn rotation(arguments: &[&str]) -> tokio::process::Command {
    let bench = Process::binary("agentkeys-bench");
    let bin = bench.parent().unwrap();
    let mut command = Process::command(&bench);
    command.args(["rotation", "--seconds", "15", "--every", "4", "--rate", "50", "--bin"]).arg(bin).args(arguments);
    command.kill_on_drop(true);
    command
}

#[tokio::test]
async fn nobody_notices_that_keys_are_rotated() {
    let output = rotation(&[]).output().await.unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("key rotation: 3 rotations") && said.contains(": 0 failures"), "{said}");
}

/// The planted fault: previous keys are dropped at once.
#[tokio::test]
async fn previous_keys_that_are_dropped_at_once_are_found() {
    let output = rotation(&["--plant"]).output().await.unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("session token at the broker: ") && said.contains("session token at the signer: "), "{said}");
}
