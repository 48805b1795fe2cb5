//! An STS that is slow, refuses, or lies.

use std::time::Duration;

use agentkeys_api::ErrorCode;
use agentkeys_client::{ClientError, Dispenser};
use agentkeys_testing::System;
use agentkeys_types::{Clock, SystemClock};

use super::{
    fake_sts::{FakeSts, Manner},
    machine::{Machine, SOON, ask, code, poll, problem},
};

#[tokio::test]
async fn while_the_sts_is_slow_who_has_something_at_hand_does_not_wait_and_others_share_one_call() {
    let (system, sts) = (System::start().await, FakeSts::start(Manner::Gives(16)).await);
    let (machine, _) = Machine::signed_in(&system, &sts.url, 16).await;
    let _daemon = machine.start().await;
    assert_eq!(ask(&machine.client()).await.unwrap().access_key_id, "ASIA1");
    let held = sts.hold().await;
    sts.is_asked(2).await;

    let meanwhile = tokio::time::timeout(Duration::from_secs(1), ask(&machine.client())).await;
    let client = machine.client();
    let until_over = async {
        while client.status().await.unwrap().credentials_expire_at.is_some() {}
        drop(held);
    };
    sts.tell(Manner::Gives(900));
    tokio::time::timeout(SOON * 2, until_over).await.unwrap();
    let after = ask(&machine.client()).await.unwrap();

    assert_eq!(meanwhile.unwrap().unwrap().access_key_id, "ASIA1");
    assert_eq!((after.access_key_id.as_str(), sts.asked()), ("ASIA2", 2));
}

#[tokio::test]
async fn a_role_that_aws_refuses_is_told_so_and_others_go_on() {
    let (system, sts) = (System::start().await, FakeSts::start(Manner::Gives(4)).await);
    let (machine, _) = Machine::signed_in(&system, &sts.url, 4).await;
    machine.set("[aws.roles.read]\nrole_arn = \"arn:aws:iam::000000000000:role/read\"\n");
    let _daemon = machine.start().await;
    ask(&machine.client()).await.unwrap();

    sts.tell(Manner::Refuses);
    let refused = poll(&machine.client(), SOON, Result::is_err).await.pop().unwrap();
    let read = machine.client().credentials(&"read".parse().unwrap(), None).await;

    let refused = problem(refused);
    assert_eq!(refused.error, ErrorCode::RoleRefused);
    assert!(refused.detail.contains("AccessDenied") && refused.detail.contains("trust policy"), "{refused}");
    assert!(read.is_ok(), "{read:?}");
}

#[tokio::test]
async fn what_an_sts_says_beyond_what_was_asked_for_is_not_believed() {
    let (system, sts) = (System::start().await, FakeSts::start(Manner::Gives(400_000_000)).await);
    let (machine, _) = Machine::signed_in(&system, &sts.url, 900).await;
    let _daemon = machine.start().await;

    let ends = ask(&machine.client()).await.unwrap().expires_at;

    let life = ends.since(SystemClock.now());
    assert!(life <= Duration::from_mins(16) && life > Duration::from_mins(15), "{life:?}");
}

#[tokio::test]
async fn answers_that_are_of_no_use_are_told_so_and_are_not_asked_for_without_end() {
    let (system, sts) = (System::start().await, FakeSts::start(Manner::Gives(-1)).await);
    let (machine, _) = Machine::signed_in(&system, &sts.url, 900).await;
    let _daemon = machine.start().await;
    for (manner, said) in [
        (Manner::Gives(-1), "clock of this machine"),
        (Manner::Gives(0), "clock of this machine"),
        (Manner::Gives(-400_000_000), "clock of this machine"),
        (Manner::Garbage, "does not answer as an STS"),
        (Manner::Redirects, "does not answer as an STS"),
        (Manner::Endless, "does not answer as an STS"),
    ] {
        sts.tell(manner);
        let is_told =
            |answer: &Result<_, ClientError>| answer.as_ref().is_err_and(|error| error.to_string().contains(said));
        let refused = problem(poll(&machine.client(), SOON, is_told).await.pop().unwrap());
        let (asked, started) = (sts.asked(), SystemClock.now());
        for _ in 0..500 {
            assert_eq!(code(ask(&machine.client()).await), ErrorCode::StsUnavailable, "{manner:?}");
        }
        let seconds = SystemClock.now().since(started).as_secs() + 2;

        assert_eq!(refused.error, ErrorCode::StsUnavailable, "{manner:?}");
        // Once in a second for whoever asks, and a few times because of nobody.
        let more = sts.asked() - asked;
        assert!(u64::try_from(more).unwrap() <= 2 * seconds, "{manner:?}: {more} calls in {seconds} s");
    }

    sts.tell(Manner::Gives(900));
    poll(&machine.client(), SOON, Result::is_ok).await;
}
