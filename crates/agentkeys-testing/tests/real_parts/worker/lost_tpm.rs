//! A TPM that is gone while the worker runs.

use super::machine::{Machine, refusal_of};

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_worker_whose_tpm_is_gone_ends_and_says_what_to_do() {
    let mut machine = Machine::new();
    let worker = machine.boot(0).await;
    machine.power_cycle();

    // Whoever asks next shows it.
    let status = worker.evidence_status(&[7; 32]).await;
    let said = refusal_of(worker.process).await;

    assert_eq!(status, 503);
    assert!(said.contains("start the machine again"), "{said}");
    assert_ne!(machine.boot(0).await.identity, "");
}
