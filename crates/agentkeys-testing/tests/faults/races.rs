//! Many requests at once, at three brokers on one store, for what may be had once or a few times.

use std::process::Output;

use agentkeys_testing::Process;

/// Whatever may be had once.
const ONCE: [&str; 10] = [
    "e-mail code",
    "authorization code",
    "device code",
    "wallet challenge",
    "decision",
    "provider's answer",
    "link by e-mail",
    "link at a provider",
    "one identity for two accounts",
    "removal of the last two identities",
];
/// Whatever may be had five times.
const LIMITED: [&str; 3] = ["mails to one address", "devices of one source", "user codes of one source"];

async fn races(arguments: &[&str]) -> Output {
    let bench = Process::binary("agentkeys-bench");
    let bin = bench.parent().unwrap();
    let mut command = Process::command(&bench);
    command.args(["races", "--bin"]).arg(bin).args(arguments).kill_on_drop(true);
    command.output().await.unwrap()
}

#[tokio::test]
async fn what_may_be_had_once_is_had_once_and_no_limit_is_passed() {
    let output = races(&["--rounds", "3"]).await;

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for (kinds, successes) in [(&ONCE[..], 3), (&LIMITED[..], 15)] {
        for kind in kinds {
            let expected = format!("{kind}: 3 rounds, 192 requests, {successes} successes, 0 rounds with more or less");
            assert!(said.contains(&expected), "{expected}: {said}");
        }
    }
    assert!(said.contains("mails: 15 came for 3 rounds, of 15 that may"), "{said}");
}

/// The planted fault: one of the brokers does not know what the others have given out.
#[tokio::test]
async fn a_broker_with_a_store_of_its_own_is_found_by_each_race() {
    let output = races(&["--rounds", "1", "--plant"]).await;

    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for (kinds, successes) in [(&ONCE[..], 2), (&LIMITED[..], 10)] {
        for kind in kinds {
            let expected = format!("{kind}: 1 rounds, 64 requests, {successes} successes, 1 rounds with more or less");
            assert!(said.contains(&expected), "{expected}: {said}");
        }
    }
    assert!(said.contains("mails: 10 came for 1 rounds, of 5 that may"), "{said}");
}
