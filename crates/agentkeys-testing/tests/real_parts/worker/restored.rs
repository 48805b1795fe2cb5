//! The shares of a first boot restore the identity on another machine.

use std::{fs, process::Stdio};

use agentkeys_testing::Process;
use serde_json::Value;

use super::machine::{Machine, Worker, copy_folder, http, refusal_of};

async fn share_command(arguments: &[&str]) -> String {
    let mut command = Process::command(Process::binary("agentkeys-tee-worker"));
    let output = command.arg("share").args(arguments).stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn two_of_three_holders_restore_the_identity_on_another_machine() {
    let keys = tempfile::tempdir().unwrap();
    let key = |number: u8| keys.path().join(number.to_string()).display().to_string();
    let mut recipients = Vec::new();
    for number in 1..=3 {
        recipients.push(format!("{:?}", share_command(&["keygen", &key(number)]).await));
    }
    let backup = format!("[backup]\nrecipients = [{}]\nthreshold = 2", recipients.join(", "));
    let lost = Machine::new();
    let first = Worker::of(lost.start_with(&lost.release_key.approve(0), &backup)).await;
    let identity = first.identity.clone();
    let before = first.evidence(&[7; 32]).await.bound;
    first.stop().await;

    let mut machine = Machine::new();
    let restore = format!("[backup]\nrestore_identity = {identity:?}");
    let said = refusal_of(machine.start_with(&machine.release_key.approve(0), &restore)).await;
    assert!(said.contains("there is no signing log"), "{said}");
    copy_folder(&lost.state().join("log"), &machine.state().join("log"));
    let mut process = machine.start_with(&machine.release_key.approve(0), &restore);
    let url = format!("https://{}", process.address_in("waiting for shares").await);
    let evidence = http().get(format!("{url}/attestation?nonce={}", "07".repeat(32))).send().await.unwrap();
    let evidence: Value = evidence.json().await.unwrap();
    let worker_key = evidence["bound"]["identity_pub"].as_str().unwrap().strip_prefix("00").unwrap().to_owned();
    let wanted: Value = http().get(format!("{url}/restore")).send().await.unwrap().json().await.unwrap();
    assert_eq!(wanted["public_key"], worker_key.as_str());
    for number in [1, 3] {
        let share = lost.state().join(format!("backup/share-{number}.json")).display().to_string();
        let resealed =
            share_command(&["reseal", "--share", &share, "--key", &key(number), "--recipient", &worker_key]).await;
        let post = http().post(format!("{url}/restore")).header("content-type", "application/json").body(resealed);
        assert_eq!(post.send().await.unwrap().status(), 200);
    }

    let restored = Worker::of(process).await;
    assert_eq!(restored.identity, identity);
    let after = restored.evidence(&[8; 32]).await.bound;
    assert_eq!(after.log_vkey, before.log_vkey);
    // The second line of a checkpoint says how many entries there are.
    let size = |note: &str| note.lines().nth(1).unwrap().parse::<u64>().unwrap();
    assert!(size(&after.log_checkpoint) > size(&before.log_checkpoint));
    restored.stop().await;
    machine.power_cycle();
    assert_eq!(machine.boot(0).await.identity, identity);
    assert!(fs::exists(machine.blob()).unwrap());
}
