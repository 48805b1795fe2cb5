//! A machine that somebody has turned back shows that it was started less often than it was seen to be.

use std::fs;

use super::{FakeSigner, Machine, START, check_of, derive};

#[tokio::test]
async fn an_old_state_of_the_machine_is_seen_by_its_boot_counter() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);
    for boot_counter in [4, 9, 9] {
        signer.state().boot_counter = boot_counter;
        derive(&machine.client(&signer), &signer).await.unwrap();
    }
    signer.state().boot_counter = 8;
    signer.state().asked.clear();

    let refused = derive(&machine.client(&signer), &signer).await;

    assert_eq!(check_of(refused), "boot_counter");
    assert_eq!(signer.paths(), ["GET /attestation"]);
    assert_eq!(machine.kept().read(client.url()).unwrap().unwrap().boot_counter, Some(9));
}

#[tokio::test]
async fn an_old_state_is_seen_on_an_open_connection_too() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);
    signer.state().boot_counter = 9;
    derive(&client, &signer).await.unwrap();
    signer.state().boot_counter = 8;
    machine.clock.set(START + 600);

    assert_eq!(check_of(derive(&client, &signer).await), "boot_counter");
}

#[tokio::test]
async fn evidence_that_was_asked_for_before_a_later_start_was_seen_is_no_old_state() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let (client, kept) = (machine.client(&signer), machine.kept());
    derive(&machine.client(&signer), &signer).await.unwrap();
    let url = client.url().clone();
    let seen_elsewhere = move || kept.change(&url, |kept| kept.boot_counter = Some(9)).unwrap();
    signer.state().meanwhile = Some(Box::new(seen_elsewhere));

    derive(&client, &signer).await.unwrap();

    assert_eq!(machine.kept().read(client.url()).unwrap().unwrap().boot_counter, Some(9));
    assert_eq!(check_of(derive(&machine.client(&signer), &signer).await), "boot_counter");
}

#[tokio::test]
async fn without_an_attestation_key_another_machine_may_count_from_anywhere() {
    let (signer, machine) = (FakeSigner::start().await, Machine { has_no_ak: true, ..Machine::new() });
    let client = machine.client(&signer);

    for boot_counter in [9, 0, 3] {
        signer.state().boot_counter = boot_counter;
        derive(&machine.client(&signer), &signer).await.unwrap();
    }

    assert_eq!(machine.kept().read(client.url()).unwrap().unwrap().boot_counter, None);
}

#[tokio::test]
async fn what_was_remembered_before_there_was_a_boot_counter_learns_it() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);
    derive(&machine.client(&signer), &signer).await.unwrap();
    machine.kept().change(client.url(), |kept| kept.boot_counter = None).unwrap();
    assert!(!fs::read_to_string(machine.kept().path()).unwrap().contains("boot_counter"));

    derive(&client, &signer).await.unwrap();

    assert_eq!(machine.kept().read(client.url()).unwrap().unwrap().boot_counter, Some(1));
}
