//! A release of a higher epoch takes the secret over, and leaves older ones behind.

use std::fs;

use super::machine::{Machine, write_private};

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_higher_epoch_takes_over_and_a_lower_one_is_refused_from_then_on() {
    let mut machine = Machine::new();
    let first = machine.boot(0).await;
    let identity = first.identity.clone();
    first.stop().await;
    let old = fs::read(machine.blob()).unwrap();

    machine.power_cycle();
    let raised = machine.boot(2).await;
    assert_eq!(raised.identity, identity);
    raised.stop().await;

    machine.power_cycle();
    let said = machine.refusal(0).await;
    assert!(said.contains("epoch 2"), "{said}");

    machine.power_cycle();
    let new = fs::read(machine.blob()).unwrap();
    write_private(&machine.blob(), &old);
    let said = machine.refusal(0).await;
    assert!(said.contains("an old copy"), "{said}");

    machine.power_cycle();
    write_private(&machine.blob(), &new);
    assert_eq!(machine.boot(2).await.identity, identity);
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_worker_that_is_killed_while_it_takes_over_loses_nothing() {
    let mut machine = Machine::new();
    let first = machine.boot(0).await;
    let identity = first.identity.clone();
    first.stop().await;

    for (epoch, line) in [(1, "confined"), (2, "confined"), (3, "unsealed"), (4, "the worker signs")] {
        machine.power_cycle();
        let mut process = machine.start(epoch);
        process.line_with(line).await;
        process.kill().await;
    }
    machine.power_cycle();

    assert_eq!(machine.boot(4).await.identity, identity);
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_worker_that_is_killed_at_its_first_boot_is_whole_at_the_next_or_says_how_to_begin_again() {
    for line in ["confined", "first boot", "the worker signs"] {
        let mut machine = Machine::new();
        let mut process = machine.start(0);
        process.line_with(line).await;
        process.kill().await;
        machine.power_cycle();

        if machine.blob().exists() && !machine.has_record() {
            let said = machine.refusal(0).await;
            assert!(said.contains("empty the state folder"), "{line}: {said}");
            fs::remove_dir_all(machine.state()).unwrap();
            machine.power_cycle();
        }
        let identity = machine.boot(0).await.identity;
        machine.power_cycle();

        assert_eq!(machine.boot(0).await.identity, identity, "{line}");
    }
}
