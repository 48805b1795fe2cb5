//! What must not unseal, and what the worker says about it.

use std::fs;

use agentkeys_tpm::SEALED_PCRS;

use super::machine::{Machine, ReleaseKey, refusal_of, write_private};

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_lost_blob_never_becomes_a_new_identity() {
    let mut machine = Machine::new();
    machine.boot(0).await.stop().await;
    machine.power_cycle();
    fs::remove_file(machine.blob()).unwrap();

    let said = machine.refusal(0).await;

    assert!(said.contains("restore that file from a backup"), "{said}");
    assert!(!machine.blob().exists());
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_disk_in_another_machine_is_refused() {
    let mut machine = Machine::new();
    machine.boot(0).await.stop().await;
    machine.tpm = machine.tpm.other();

    let said = machine.refusal(0).await;

    assert!(said.contains("sealed by another machine"), "{said}");
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn the_blob_of_another_machine_is_refused() {
    let (mut one, other) = (Machine::new(), Machine::new());
    one.boot(0).await.stop().await;
    other.boot(0).await.stop().await;
    one.power_cycle();
    write_private(&one.blob(), &fs::read(other.blob()).unwrap());

    let said = one.refusal(0).await;

    assert!(said.contains("cannot be unsealed here"), "{said}");
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_second_start_without_a_power_cycle_is_refused_with_the_reason() {
    let machine = Machine::new();
    machine.boot(0).await.stop().await;

    let said = machine.refusal(0).await;

    assert!(said.contains("restart the machine"), "{said}");
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn an_approval_by_another_key_is_refused() {
    let machine = Machine::new();

    let said = refusal_of(machine.start_with(&ReleaseKey::new().approve(0), "")).await;

    assert!(said.contains("another release key"), "{said}");
    assert!(!machine.blob().exists());
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn an_image_that_nobody_approved_of_seals_and_unseals_nothing() {
    let mut machine = Machine::new();
    let registers = SEALED_PCRS.map(|register| (register, [register; 32])).into();
    let elsewhere = machine.release_key.approve_registers(0, registers);

    let never = refusal_of(machine.start_with(&elsewhere, "")).await;
    machine.power_cycle();
    machine.boot(0).await.stop().await;
    machine.power_cycle();
    let no_more = refusal_of(machine.start_with(&elsewhere, "")).await;

    for said in [never, no_more] {
        assert!(said.contains("approval") && said.contains("register 4"), "{said}");
    }
}
