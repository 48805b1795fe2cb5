//! What whoever owns the machine, and starts another system on it, cannot have the worker take for its own.

use std::fs;

use agentkeys_testing::Process;
use agentkeys_tpm::{Approval, NvCounter, SealPolicy, identity_record, policy_ref};

use super::machine::{Machine, refusal_of, write_private};
use crate::tpm::interposer::{self, Interposer};

/// `TPM2_PolicyAuthorize`.
const POLICY_AUTHORIZE: u32 = 0x016A;

/// A machine that has served, and is off.
async fn served() -> (Machine, String) {
    let mut machine = Machine::new();
    let worker = machine.boot(0).await;
    let identity = worker.identity.clone();
    worker.stop().await;
    machine.power_cycle();
    (machine, identity)
}

/// Puts a secret that the host knows in the place of the worker's, sealed as the worker seals.
fn inject_secret(machine: &Machine) {
    let mut tpm = machine.host();
    let (release_key, counter) = (machine.release_key.public(), NvCounter::MIN_RELEASE);
    let counter_value = tpm.counter(counter).read().unwrap().unwrap();
    let sealed = tpm.seal(&[7; 32], &SealPolicy { release_key, epoch: 0, counter, counter_value }).unwrap();
    write_private(&machine.blob(), &sealed.to_bytes());
}

fn delete_record(machine: &Machine) {
    interposer::delete_index(&machine.tpm, identity_record(&machine.release_key.public()).index());
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_secret_that_the_host_has_sealed_under_the_workers_policy_is_refused() {
    let (mut machine, identity) = served().await;
    let own = fs::read(machine.blob()).unwrap();
    inject_secret(&machine);

    let said = machine.refusal(0).await;

    assert!(said.contains("another identity"), "{said}");
    machine.power_cycle();
    write_private(&machine.blob(), &own);
    assert_eq!(machine.boot(0).await.identity, identity);
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_secret_of_the_hosts_is_refused_when_it_has_made_the_record_anew() {
    let (machine, _) = served().await;
    inject_secret(&machine);
    delete_record(&machine);
    let (mut tpm, record) = (machine.host(), identity_record(&machine.release_key.public()));
    let elsewhere = machine.release_key.approve_registers(0, [4, 11, 12].map(|register| (register, [9; 32])).into());
    // It is defined, and cannot be written there.
    tpm.record(record).write(&[0; 32], &elsewhere).unwrap_err();
    drop(tpm);

    let said = machine.refusal(0).await;

    assert!(said.contains("record of its identity"), "{said}");
    assert_eq!(machine.host().record(record).read().unwrap(), None);
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn the_same_wallets_never_get_an_empty_log() {
    let (machine, _) = served().await;
    delete_record(&machine);
    fs::remove_dir_all(machine.state().join("log")).unwrap();

    let said = machine.refusal(0).await;

    assert!(said.contains("empty the state folder"), "{said}");
    assert!(!machine.state().join("log").exists());
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_log_that_is_gone_is_not_begun_again() {
    let (machine, _) = served().await;
    fs::remove_dir_all(machine.state().join("log")).unwrap();

    let said = machine.refusal(0).await;

    assert!(said.contains("the signing log"), "{said}");
    assert!(!machine.state().join("log/checkpoint").exists());
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn an_approval_whose_later_signatures_were_taken_away_is_refused() {
    let (mut machine, identity) = served().await;
    let mut document = serde_json::to_value(machine.release_key.approve(1)).unwrap();
    document["epoch"] = 0.into();
    document["approvals"].as_array_mut().unwrap().truncate(1);
    let shortened: Approval = serde_json::from_value(document).unwrap();
    shortened.verify(&machine.release_key.public()).unwrap();

    let said = refusal_of(start(&machine, &machine.tpm.path(), &shortened)).await;

    assert!(said.contains("is for epoch 0") && said.contains("of epoch 1"), "{said}");
    assert_eq!(machine.boot(1).await.identity, identity);
    machine.power_cycle();
    assert!(machine.refusal(0).await.contains("epoch 1"), "the minimum was raised");
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn the_minimum_stays_where_the_tpm_takes_no_approval_for_the_next_epoch() {
    let (mut machine, identity) = served().await;
    let approval = machine.release_key.approve(1);
    let interposer = Interposer::refusing(&machine.tpm, POLICY_AUTHORIZE, policy_ref(1));

    let said = refusal_of(start(&machine, &interposer.path(), &approval)).await;

    assert!(said.contains("TPM2_PolicyAuthorize"), "{said}");
    machine.power_cycle();
    assert_eq!(machine.boot(0).await.identity, identity);
}

/// Starts a release of epoch 1 with this approval.
fn start(machine: &Machine, tpm: &str, approval: &Approval) -> Process {
    machine.start_at(tpm, approval, 1, "")
}
