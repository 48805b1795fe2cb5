//! Signing keys that are rotated while tokens are made and verified: nobody notices.

use std::time::Duration;

use agentkeys_testing::Process;

use crate::bench::Bench;

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

#[tokio::test]
async fn a_broker_that_is_told_by_a_signal_goes_on_with_the_new_keys() {
    let bench = Bench::start().await;
    let before = current_kid(&bench).await;
    let mut rotate = Process::command(Process::binary("agentkeys-broker"));
    rotate.args(["keys", "rotate", "--state"]).arg(bench.broker_state());
    assert!(rotate.status().await.unwrap().success());

    let mut hangup = Process::command("kill");
    assert!(hangup.args(["-HUP", &bench.broker().id().to_string()]).status().await.unwrap().success());

    let taken = async { while current_kid(&bench).await == before {} };
    tokio::time::timeout(Duration::from_secs(10), taken).await.unwrap();
}

async fn current_kid(bench: &Bench) -> String {
    let request = bench.client().broker(reqwest::Method::GET, "/.well-known/jwks.json");
    let set = bench.client().send(request).await.unwrap().expect(200);
    set.body["keys"][0]["kid"].as_str().unwrap().to_owned()
}
