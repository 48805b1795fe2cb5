//! AWS's own clients at each door of one daemon, while its credentials are renewed again and again.

mod bench;
mod ceph;
mod door;
mod gate;
pub(crate) mod machine;

use agentkeys_testing::System;
use tokio::time::Instant;

use self::{
    bench::{Bench, CLAUDE, LIFE, Site},
    door::Door,
    gate::Gate,
};
use crate::sdks::sdk::{Sdk, Used};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS SDKs: cargo xtask test"]
async fn every_sdk_goes_on_through_every_door_while_credentials_are_renewed() {
    let system = System::start_with_short_sessions(LIFE).await;
    let ada = system.walk("ada", &mut ()).await.unwrap();
    let (site, began) = (Site::at_the_stand_in(&system, &ada), Instant::now());
    let bench = Bench::start(system, &ada, site).await;

    let everybody = bench.keep_using(&Door::ALL, Door::sets).await;

    assert_each_had_enough(&everybody, Door::sets);
    for whose in ["person", CLAUDE] {
        let (lives, sessions) = (most_lives(began), bench.system.aws_sessions_called(&format!("daemon-{whose}")).await);
        assert!((3..=lives).contains(&sessions), "{whose}: {sessions} sessions in {lives} lives");
        assert!(bench.handed_out_to(whose) <= sessions, "{whose}: {} of {sessions}", bench.handed_out_to(whose));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS SDKs: cargo xtask test"]
async fn no_sdk_notices_an_sts_that_is_away_for_less_than_what_is_left() {
    let system = System::start_with_short_sessions(LIFE).await;
    let ada = system.walk("ada", &mut ()).await.unwrap();
    let gate = Gate::before(&system.aws_url()).await;
    let site = Site { sts: gate.url(), ..Site::at_the_stand_in(&system, &ada) };
    let bench = Bench::start(system, &ada, site).await;
    bench.wait_for_credentials().await;

    gate.close();
    let outage = async {
        bench.wait_for_line("could not be renewed").await;
        gate.open();
    };
    let (everybody, ()) = tokio::join!(bench.keep_using(&[Door::Endpoint, Door::Command], |_| 2), outage);

    assert_each_had_enough(&everybody, |_| 2);
    assert!(gate.refused() > 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS SDKs: cargo xtask test"]
async fn an_sdk_is_told_why_there_are_no_credentials_and_has_them_once_there_are() {
    let system = System::start_with_short_sessions(LIFE).await;
    let ada = system.walk("ada", &mut ()).await.unwrap();
    let gate = Gate::before(&system.aws_url()).await;
    gate.close();
    let site = Site { sts: gate.url(), ..Site::at_the_stand_in(&system, &ada) };
    let bench = Bench::start(system, &ada, site).await;

    for (door, words) in [(Door::Command, "no STS answered"), (Door::Endpoint, "sts_unavailable")] {
        let complaint = Sdk::Boto3.fail_to_use(&bench.site.place, |client| bench.through(door, client)).await;
        assert!(complaint.contains(words), "{door:?}: {complaint}");
    }
    gate.open();
    let everybody = bench.keep_using(&[Door::Command, Door::Endpoint], |_| 1).await;

    assert_each_had_enough(&everybody, |_| 1);
}

/// That every client had as many sets of credentials as it should, and knew when they end.
fn assert_each_had_enough(everybody: &[(Door, Sdk, Vec<Used>)], sets: impl Fn(Door) -> usize) {
    for (door, sdk, used) in everybody {
        assert!(used.len() >= sets(*door), "{sdk:?} at {door:?}: {used:?}");
        // Not every client reads when what is in its environment ends.
        let knows = *door == Door::Environment || used.iter().all(|set| set.expires != Some(false));
        assert!(knows, "{sdk:?} at {door:?}: {used:?}");
    }
}

/// How many sets of credentials can have taken turns since then: renewed at two thirds of a life, less a tenth.
fn most_lives(began: Instant) -> usize {
    let shortest = LIFE / 2;
    1 + usize::try_from(began.elapsed().as_millis().div_ceil(shortest.as_millis())).unwrap()
}
