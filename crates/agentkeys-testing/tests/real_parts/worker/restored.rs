//! The shares of a first boot restore the identity on another machine, by the command of those who hold them.

use std::{fs, path::Path, process::Output};

use agentkeys_attestation::ReleaseKeyPair;
use agentkeys_testing::{Home, Process, policy_entry};
use serde_json::Value;

use super::machine::{Machine, Worker, copy_folder, http, refusal_of};

/// Whoever holds shares: with keys, and with a policy that says which worker may have them.
struct Holders(Home);

impl Holders {
    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.0.agentkeys(arguments).output().await.unwrap()
    }

    /// Makes a key, and gives its public half.
    async fn keygen(&self, number: u8) -> String {
        let made = self.run(&["--json", "backup", "keygen", &self.at(&format!("key-{number}"))]).await;
        document(&made)["public_key"].as_str().unwrap().to_owned()
    }

    /// Writes a policy that accepts a worker of the machine with that identity, if it was measured so, and signs it.
    fn believe(&self, machine: &Machine, identity: &str, measured: [u8; 32]) {
        let policy = format!(
            "version = 1\nmin_release = \"0.1.0\"\nrevoked = []\n[identity]\npub = \"{identity}\"\n{}",
            policy_entry(&machine.tpm, &measured)
        );
        let key = ReleaseKeyPair::from_pem(&ReleaseKeyPair::generate_pem().unwrap()).unwrap();
        fs::write(self.at("policy.toml"), &policy).unwrap();
        fs::write(self.at("policy.toml.sig"), key.sign(policy.as_bytes()).unwrap()).unwrap();
        fs::write(self.at("release-key"), hex::encode(key.public().unwrap().as_sec1())).unwrap();
    }

    /// Runs a command about the worker at `url`.
    async fn ask(&self, url: &str, arguments: &[&str]) -> Output {
        let (policy, release_key) = (self.at("policy.toml"), fs::read_to_string(self.at("release-key")).unwrap());
        let worker = ["--json", "--signer-url", url, "--attestation-policy", &policy, "--release-key", &release_key];
        self.run(&[&worker[..], arguments].concat()).await
    }

    /// Gives the worker at `url` the share of that number out of `folder`.
    async fn restore(&self, url: &str, folder: &Path, number: u8) -> Output {
        let share = folder.join(format!("share-{number}.json")).display().to_string();
        let key = self.at(&format!("key-{number}"));
        self.ask(url, &["backup", "restore", "--share", &share, "--key", &key]).await
    }

    fn has_memory_of_a_worker(&self) -> bool {
        self.0.path().join("state/agentkeys/attestation").exists()
    }
}

fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How a command ended that was to be refused: its exit code, and the failure in one word.
fn refused(output: &Output) -> (Option<i32>, String) {
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    (output.status.code(), error["error"]["code"].as_str().unwrap().to_owned())
}

/// A worker that waits for shares, and its URL.
async fn waiting(machine: &Machine, identity: &str) -> (Process, String) {
    let restore = format!("[backup]\nrestore_identity = {identity:?}");
    let mut process = machine.start_with(&machine.release_key.approve(0), &restore);
    let url = format!("https://{}", process.address_in("waiting for shares").await);
    (process, url)
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn two_of_three_holders_restore_the_identity_on_another_machine() {
    let holders = Holders(Home::default());
    let mut recipients = Vec::new();
    for number in 1..=3 {
        recipients.push(format!("{:?}", holders.keygen(number).await));
    }
    let backup = format!("[backup]\nrecipients = [{}]\nthreshold = 2", recipients.join(", "));
    let lost = Machine::new();
    let first = Worker::of(lost.start_with(&lost.release_key.approve(0), &backup)).await;
    let identity = first.identity.clone();
    let before = first.evidence(&[7; 32]).await.bound;
    first.stop().await;
    let shares = lost.state().join("backup");

    let mut machine = Machine::new();
    let restore = format!("[backup]\nrestore_identity = {identity:?}");
    let said = refusal_of(machine.start_with(&machine.release_key.approve(0), &restore)).await;
    assert!(said.contains("there is no signing log"), "{said}");
    copy_folder(&lost.state().join("log"), &machine.state().join("log"));
    let (process, url) = waiting(&machine, &identity).await;
    holders.believe(&machine, &identity, [0; 32]);
    let shown = holders.ask(&url, &["attestation", "show"]).await;
    let one = document(&holders.restore(&url, &shares, 1).await);
    let again = document(&holders.restore(&url, &shares, 1).await);
    let other = document(&holders.restore(&url, &shares, 3).await);

    assert_eq!(shown.status.code(), Some(4), "no other command takes a worker that restores");
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["restoring"], &shown["accepted"]), (&true.into(), &false.into()), "{shown}");
    for first in [one, again] {
        assert_eq!((&first["restored"], &first["shares"], &first["threshold"]), (&false.into(), &1.into(), &2.into()));
    }
    assert_eq!((&other["restored"], &other["shares"]), (&true.into(), &2.into()));
    assert_eq!((&other["identity_pub"], &other["policy_is_signed"]), (&identity.as_str().into(), &true.into()));
    assert!(!holders.has_memory_of_a_worker());
    let restored = Worker::of(process).await;
    assert_eq!(restored.identity, identity);
    let after = restored.evidence(&[8; 32]).await.bound;
    assert_eq!(after.log_vkey, before.log_vkey);
    // The second line of a checkpoint says how many entries there are.
    let size = |note: &str| note.lines().nth(1).unwrap().parse::<u64>().unwrap();
    assert!(size(&after.log_checkpoint) > size(&before.log_checkpoint));
    let late = holders.restore(&restored.url, &shares, 2).await;
    assert_eq!(refused(&late), (Some(4), "not_restoring".to_owned()));
    let shown = document(&holders.ask(&restored.url, &["attestation", "show"]).await);
    let [accepted, restoring] = ["accepted", "restoring"].map(|name| shown[name].as_bool().unwrap());
    assert!(accepted && !restoring, "the same policy accepts it once it signs: {shown}");
    restored.stop().await;
    machine.power_cycle();
    assert_eq!(machine.boot(0).await.identity, identity);
    assert!(fs::exists(machine.blob()).unwrap());
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_worker_that_the_policy_does_not_name_gets_no_share() {
    let holders = Holders(Home::default());
    let (recipient, other) = (holders.keygen(1).await, holders.keygen(2).await);
    let lost = Machine::new();
    let backup = format!("[backup]\nrecipients = [{recipient:?}, {other:?}]\nthreshold = 2");
    let first = Worker::of(lost.start_with(&lost.release_key.approve(0), &backup)).await;
    let (identity, shares) = (first.identity.clone(), lost.state().join("backup"));
    first.stop().await;
    let machine = Machine::new();
    copy_folder(&lost.state().join("log"), &machine.state().join("log"));
    let (process, url) = waiting(&machine, &identity).await;
    let of_another = format!("03{}", "11".repeat(32));

    let policies: [(&Machine, &str, [u8; 32]); 3] =
        [(&machine, &identity, [1; 32]), (&lost, &identity, [0; 32]), (&machine, &of_another, [0; 32])];
    for (believed, identity, measured) in policies {
        holders.believe(believed, identity, measured);
        let refusal = holders.restore(&url, &shares, 1).await;
        assert_eq!(refused(&refusal), (Some(4), "attestation_invalid".to_owned()));
    }
    holders.believe(&machine, &identity, [0; 32]);
    fs::write(holders.at("policy.toml.sig"), "").unwrap();
    let unsigned = holders.restore(&url, &shares, 1).await;

    assert_eq!(refused(&unsigned).0, Some(2));
    let wanted: Value = http().get(format!("{url}/restore")).send().await.unwrap().json().await.unwrap();
    assert_eq!(wanted["public_key"].as_str().unwrap().len(), 64, "it still waits");
    let log = String::from_utf8_lossy(&process.kill().await).into_owned();
    assert!(!log.contains("a share came in") && !log.contains("a share was refused"), "{log}");
}
