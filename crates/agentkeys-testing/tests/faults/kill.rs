//! SIGKILL in the middle of eight writers: nothing acknowledged is lost, nothing works twice.

mod ledger;
mod record;
mod recovery;
mod writers;

use std::{fs::OpenOptions, time::Duration};

use self::{
    ledger::{Kept, Ledger},
    record::{Fault, Record},
};
use crate::bench::Bench;

/// How soon the broker must be ready again.
const READY: Duration = Duration::from_secs(2);

#[tokio::test]
async fn nothing_acknowledged_is_lost_and_nothing_works_twice() {
    let cycles = cycles();
    let mut bench = Bench::start().await;
    let mut all = Kept::default();
    let mut slow = Vec::new();

    for cycle in 0..cycles {
        let ledger = Ledger::default();
        let mut writers = writers::start(&bench.client(), &ledger, cycle);
        // Early in some cycles, when most are signing in, and late in others.
        let enough = 10 + cycle * 37 % 150;
        tokio::select! {
            () = ledger.reaches(enough) => {}
            ended = writers.join_next() => panic!("a writer ended before the servers did: {ended:?}"),
        }
        let log = bench.kill().await;
        while let Some(writer) = writers.join_next().await {
            writer.unwrap().unwrap_err();
        }
        assert!(!String::from_utf8_lossy(&log).contains("panicked"), "{}", String::from_utf8_lossy(&log));

        bench.resume().await;
        if bench.ready_after() > READY {
            slow.push(bench.ready_after());
        }
        let mut kept = ledger.take();
        recovery::check(&bench.client(), &mut kept).await;
        all.absorb(kept);
        Record::read(&bench).await.check(all.facts()).unwrap();
    }

    recovery::check(&bench.client(), &mut all).await;
    assert!(all.has_everything(), "some writers had nothing acknowledged");
    assert!(slow.len() * 100 <= cycles, "not ready within {READY:?} in the 99th percentile: {slow:?}");
}

/// The planted fault: a disk that forgot the second half of what it was told to keep.
#[tokio::test]
async fn a_store_that_lost_its_last_commits_is_found() {
    let mut bench = Bench::start().await;
    let ledger = Ledger::default();
    let mut writers = writers::start(&bench.client(), &ledger, 0);
    ledger.reaches(40).await;
    bench.kill().await;
    while writers.join_next().await.is_some() {}

    let log = OpenOptions::new().write(true).open(bench.broker_state().join("agentkeys.db-wal")).unwrap();
    log.set_len(log.metadata().unwrap().len() / 2).unwrap();
    bench.resume().await;

    let found = Record::read(&bench).await.check(ledger.take().facts());
    assert!(matches!(found, Err(Fault::Lost(_))), "{found:?}");
}

/// How often to kill: 20 times, or `AGENTKEYS_TEST_KILL_CYCLES`.
fn cycles() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a test has no settings but the environment")]
    let wanted = std::env::var("AGENTKEYS_TEST_KILL_CYCLES");
    wanted.map_or(20, |wanted| wanted.parse().expect("AGENTKEYS_TEST_KILL_CYCLES is a number"))
}
