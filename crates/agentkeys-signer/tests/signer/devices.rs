//! Who may have something signed where devices are pinned: ADR 15.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use agentkeys_api::{DeviceChange, DeviceState, ErrorCode, PinnedBy, headers, paths};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{Clock, Timestamp};
use reqwest::Method;
use serde_json::json;

use crate::{
    bench::{ADA, Bench, GRACE, START, outcome, problem},
    worker::{Device, Worker, done},
};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * 3600;
const WEEK: u64 = 7 * 24 * 3600;

/// A worker, and a device of ada's that is pinned.
async fn pinned() -> (Worker, Device) {
    let worker = Worker::start().await;
    let laptop = worker.device();
    worker.prove(&laptop).await.unwrap();
    (worker, laptop)
}

/// The same, for whoever wants a week to stop a stranger.
async fn pinned_with_a_wait() -> (Worker, Device) {
    let (worker, laptop) = pinned().await;
    worker.wait(&laptop, WEEK).await.unwrap();
    (worker, laptop)
}

/// Has that many devices of ada's come back, as many an hour as may.
async fn recover(worker: &Worker, devices: usize) {
    for number in 0..devices {
        if number % 9 == 0 {
            worker.clock.advance(HOUR);
        }
        worker.derive(&worker.device()).await.unwrap();
    }
}

async fn set_wait(worker: &Worker, by: &Device, seconds: u64) -> reqwest::Response {
    let body = json!({"omni_account": ADA, "recovery_wait_seconds": seconds});
    worker.call(by, Method::PUT, paths::DEVICES_RECOVERY, Some(body)).await
}

#[tokio::test]
async fn the_first_device_is_pinned_and_every_signing_says_how_many_changes_there_were() {
    let worker = Worker::start().await;
    let laptop = worker.device();

    let response = worker.signing(&laptop, worker.challenge()).await;

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[headers::DEVICE_REVISION], "1");
    assert_eq!(response.headers()[headers::LOG_CHECKPOINT], "YSBjaGVja3BvaW50");
    assert_eq!(response.headers()[headers::LOG_ENTRY], "1 YSBsZWFm");
    let devices = worker.list(&laptop).await;
    assert_eq!((devices.revision, devices.recovery_wait_seconds), (1, 0));
    let device = &devices.devices[0];
    assert_eq!((device.key, device.is_this), (laptop.thumbprint(), true));
    assert_eq!((device.state, device.pinned_by), (DeviceState::Pinned, Some(PinnedBy::FirstUse)));
}

#[tokio::test]
async fn a_session_without_a_device_key_has_nothing_signed() {
    let worker = Worker::start().await;
    let token = worker.session(ADA);
    let body = json!({"omni_account": ADA, "message_hex": hex::encode(worker.challenge())});

    for request in [
        worker.post(paths::SIGN_MESSAGE, &token, &body),
        worker.post(paths::DERIVE_ADDRESS, &token, &json!({"omni_account": ADA})),
        worker.get(paths::DEVICES).bearer_auth(&token),
        worker.client.put(worker.url(&worker.device().path())).bearer_auth(&token),
        worker.client.delete(worker.url(&worker.device().path())).bearer_auth(&token),
    ] {
        assert_eq!(outcome(request).await, Err(ErrorCode::DeviceKeyRequired));
    }
    assert_eq!(worker.record.changes(), []);
}

#[tokio::test]
async fn a_forged_session_with_a_sign_in_of_long_ago_has_nothing_signed() {
    let (worker, laptop) = pinned().await;
    let forged =
        worker.signed_in(ADA, DeviceKey::generate().unwrap(), worker.clock.now().before(Duration::from_mins(10)));

    assert_eq!(worker.prove(&forged).await, Err(ErrorCode::DeviceNotPinned));
    assert_eq!(worker.derive(&forged).await, Err(ErrorCode::DeviceNotPinned));
    assert_eq!(worker.approve(&forged, &forged).await, Err(ErrorCode::DeviceNotPinned));
    assert_eq!(worker.remove(&forged, &laptop).await, Err(ErrorCode::DeviceNotPinned));
    assert_eq!(worker.wait(&forged, 0).await, Err(ErrorCode::DeviceNotPinned));
    assert_eq!((worker.record.signings(), worker.record.changes().len()), (1, 1));
}

#[tokio::test]
async fn a_sign_in_from_the_future_is_none() {
    let (worker, _laptop) = pinned().await;
    for (seconds, expected) in
        [(61, Err(ErrorCode::DeviceNotPinned)), (i64::MAX - START, Err(ErrorCode::DeviceNotPinned)), (60, Ok(()))]
    {
        let at = Timestamp::from_unix(START + seconds);
        let forged = worker.signed_in(ADA, DeviceKey::generate().unwrap(), at);

        assert_eq!(worker.prove(&forged).await, expected, "{seconds}");
    }
}

#[tokio::test]
async fn a_forged_fresh_sign_in_waits_where_a_wait_is_set_and_is_stopped_by_a_device() {
    let (worker, laptop) = pinned_with_a_wait().await;
    let forged = worker.device();

    assert_eq!(worker.prove(&forged).await, Err(ErrorCode::DeviceWaiting));
    assert_eq!(worker.approve(&forged, &forged).await, Err(ErrorCode::DeviceWaiting));
    assert_eq!(worker.counts(&laptop).await, (1, 1));
    worker.clock.advance(6 * DAY);
    worker.remove(&laptop, &forged).await.unwrap();
    worker.clock.advance(2 * DAY);

    assert_eq!(worker.prove(&forged).await, Err(ErrorCode::DeviceNotPinned));
    assert_eq!((worker.record.signings(), worker.counts(&laptop).await), (1, (1, 0)));
}

#[tokio::test]
async fn whoever_waits_is_told_how_long_and_asking_again_changes_nothing() {
    let (worker, _laptop) = pinned_with_a_wait().await;
    let phone = worker.device();
    worker.prove(&phone).await.unwrap_err();
    let changes = worker.record.changes();

    worker.clock.advance(DAY);
    let response = worker.signing(&phone, worker.challenge()).await;

    assert_eq!(response.headers()["retry-after"], (6 * DAY).to_string().as_str());
    assert_eq!(problem(response).await.error, ErrorCode::DeviceWaiting);
    assert_eq!(worker.record.changes(), changes);
}

#[tokio::test]
async fn a_wait_that_nobody_stops_ends_by_itself() {
    let (worker, laptop) = pinned_with_a_wait().await;
    let phone = worker.device();
    worker.prove(&phone).await.unwrap_err();

    worker.clock.advance(7 * DAY - 1);
    let just_before = worker.prove(&phone).await;
    worker.clock.advance(1);

    assert_eq!(just_before, Err(ErrorCode::DeviceWaiting));
    worker.prove(&phone).await.unwrap();
    assert_eq!(worker.counts(&laptop).await, (2, 0));
    assert_eq!(worker.record.changes().last(), Some(&DeviceChange::Recovered { key: phone.thumbprint() }));
}

#[tokio::test]
async fn a_device_that_does_not_come_in_a_week_after_its_wait_must_ask_anew() {
    let (worker, laptop) = pinned_with_a_wait().await;
    let phone = worker.device();
    worker.prove(&phone).await.unwrap_err();

    worker.clock.advance(14 * DAY);

    assert_eq!(worker.prove(&phone).await, Err(ErrorCode::DeviceNotPinned));
    assert_eq!(worker.counts(&laptop).await, (1, 0));
}

#[tokio::test]
async fn a_waiting_device_whose_session_falls_is_never_pinned() {
    let (worker, laptop) = pinned_with_a_wait().await;
    let phone = worker.device();
    worker.prove(&phone).await.unwrap_err();

    worker.broker.revoke(phone.claims.sid);
    worker.clock.advance(8 * DAY);

    assert_eq!(worker.prove(&phone).await, Err(ErrorCode::TokenRevoked));
    assert_eq!(worker.counts(&laptop).await, (1, 1));
}

#[tokio::test]
async fn without_a_wait_a_person_who_has_just_signed_in_is_back_at_once_and_all_devices_see_it() {
    let (worker, laptop) = pinned().await;
    let phone = worker.device();

    worker.prove(&phone).await.unwrap();

    let response = worker.signing(&laptop, worker.challenge()).await;
    assert_eq!(response.headers()[headers::DEVICE_REVISION], "2");
    let devices = worker.list(&laptop).await.devices;
    let phones = devices.iter().find(|device| !device.is_this).unwrap();
    assert_eq!((phones.key, phones.pinned_by), (phone.thumbprint(), Some(PinnedBy::Recovery)));
}

#[tokio::test]
async fn a_pinned_device_lets_another_one_in_that_waits_or_never_asked() {
    let (worker, laptop) = pinned_with_a_wait().await;
    let (phone, server) = (
        worker.device(),
        worker.signed_in(ADA, DeviceKey::generate().unwrap(), worker.clock.now().before(Duration::from_hours(1))),
    );
    worker.prove(&phone).await.unwrap_err();
    worker.prove(&server).await.unwrap_err();

    for device in [&phone, &server] {
        worker.approve(&laptop, device).await.unwrap();
        worker.approve(&laptop, device).await.unwrap();
        worker.prove(device).await.unwrap();
    }

    assert_eq!(worker.counts(&laptop).await, (3, 0));
    let changes = worker.record.changes();
    let by = laptop.thumbprint();
    let approved = |device: &Device| DeviceChange::Approved { key: device.thumbprint(), by };
    assert_eq!(changes[changes.len() - 2..], [approved(&phone), approved(&server)]);
}

#[tokio::test]
async fn a_removed_device_is_out_at_once_and_stays_out_without_a_new_sign_in() {
    let (worker, laptop) = pinned().await;
    let phone = worker.device();
    worker.prove(&phone).await.unwrap();

    worker.remove(&laptop, &phone).await.unwrap();

    assert_eq!(worker.prove(&phone).await, Err(ErrorCode::DeviceNotPinned));
    worker.clock.advance(1);
    let phone = worker.signed_in(ADA, phone.key, worker.clock.now());
    assert_eq!(worker.prove(&phone).await, Ok(()));
}

#[tokio::test]
async fn no_sign_in_from_before_a_removal_brings_another_key_in() {
    let (worker, laptop) = pinned().await;
    let (phone, tablet) = (worker.device(), worker.device());
    worker.prove(&phone).await.unwrap();

    worker.remove(&laptop, &phone).await.unwrap();

    assert_eq!(worker.prove(&tablet).await, Err(ErrorCode::DeviceNotPinned));
}

#[tokio::test]
async fn the_last_device_cannot_go_and_another_takes_itself_away() {
    let (worker, laptop) = pinned().await;
    assert_eq!(worker.remove(&laptop, &laptop).await, Err(ErrorCode::LastDevice));
    let phone = worker.device();
    worker.approve(&laptop, &phone).await.unwrap();

    worker.remove(&phone, &phone).await.unwrap();

    assert_eq!(worker.counts(&laptop).await, (1, 0));
    worker.prove(&worker.device()).await.unwrap();
    worker.clock.advance(10 * MINUTE);
    assert_eq!(worker.prove(&phone).await, Err(ErrorCode::DeviceNotPinned));
    assert_eq!(worker.remove(&laptop, &phone).await, Err(ErrorCode::DeviceUnknown));
}

#[tokio::test]
async fn a_longer_wait_counts_at_once_and_a_shorter_one_when_the_old_one_has_passed() {
    let (worker, laptop) = pinned_with_a_wait().await;
    worker.wait(&laptop, 0).await.unwrap();
    let forged = worker.device();
    assert_eq!(worker.prove(&forged).await, Err(ErrorCode::DeviceWaiting));

    worker.clock.advance(7 * DAY - 1);
    let remaining = worker.list(&laptop).await.recovery_wait_seconds;
    let just_before = worker.prove(&worker.device()).await;
    worker.clock.advance(1);

    assert_eq!((remaining, just_before), (1, Err(ErrorCode::DeviceWaiting)));
    worker.prove(&worker.device()).await.unwrap();
    worker.wait(&laptop, 60).await.unwrap();
    assert_eq!(worker.prove(&worker.device()).await, Err(ErrorCode::DeviceWaiting));
}

#[tokio::test]
async fn who_waits_already_waits_no_longer_and_no_shorter_when_the_wait_changes() {
    let (worker, laptop) = pinned_with_a_wait().await;
    let (phone, left) = (worker.device(), 7 * DAY);
    worker.prove(&phone).await.unwrap_err();

    worker.wait(&laptop, 30 * 24 * 3600).await.unwrap();

    let response = worker.signing(&phone, worker.challenge()).await;
    assert_eq!(response.headers()["retry-after"], left.to_string().as_str());
}

#[tokio::test]
async fn a_wait_is_whole_seconds_of_at_most_30_days_for_the_own_account() {
    let (worker, laptop) = pinned().await;
    let set = async |body| done(worker.call(&laptop, Method::PUT, paths::DEVICES_RECOVERY, Some(body)).await).await;

    for seconds in [json!(30 * DAY + 1), json!(-1), json!(1.5), json!("60"), json!(null)] {
        let refused = set(json!({"omni_account": ADA, "recovery_wait_seconds": seconds})).await;
        assert_eq!(refused, Err(ErrorCode::InvalidField), "{seconds}");
    }
    let of_grace = set(json!({"omni_account": GRACE, "recovery_wait_seconds": 60})).await;
    assert_eq!(of_grace, Err(ErrorCode::AccountMismatch));
    assert_eq!(set(json!({"omni_account": ADA, "recovery_wait_seconds": 30 * DAY})).await, Ok(()));
}

#[tokio::test]
async fn a_device_is_named_by_its_whole_thumbprint() {
    let (worker, laptop) = pinned().await;
    let own = laptop.thumbprint().to_string();

    for name in [&own[1..], "x", &format!("{own}A"), &format!("{}=", &own[1..]), "%00"] {
        for method in [Method::PUT, Method::DELETE] {
            let path = format!("{}/{name}", paths::DEVICES);
            let refused = done(worker.call(&laptop, method, &path, None).await).await;
            assert_eq!(refused, Err(ErrorCode::InvalidField), "{name}");
        }
    }
}

#[tokio::test]
async fn a_device_of_one_account_is_none_of_another() {
    let (worker, laptop) = pinned().await;
    let graces = worker.device_of(GRACE);
    worker.derive(&graces).await.unwrap();
    let old = worker.clock.now().before(Duration::from_hours(1));

    // The key that grace's account trusts, in a session of ada's that a broker forged.
    let forged = worker.signed_in(ADA, graces.key.clone(), old);

    assert_eq!(worker.prove(&forged).await, Err(ErrorCode::DeviceNotPinned));
    assert_eq!(worker.remove(&graces, &laptop).await, Err(ErrorCode::DeviceUnknown));
    assert_eq!(worker.counts(&laptop).await, (1, 0));
}

#[tokio::test]
async fn forged_sign_ins_leave_room_for_approval() {
    let (worker, laptop) = pinned().await;
    recover(&worker, 23).await;

    let one_more = worker.device();
    let forged = worker.derive(&one_more).await;
    for _ in 24..32 {
        worker.approve(&laptop, &worker.device()).await.unwrap();
    }
    let approved = worker.approve(&laptop, &one_more).await;

    assert_eq!((forged, approved), (Err(ErrorCode::DeviceLimitReached), Err(ErrorCode::DeviceLimitReached)));
    assert_eq!(worker.counts(&laptop).await, (32, 0));
}

#[tokio::test]
async fn who_comes_back_where_no_place_is_left_replaces_the_key_that_came_back_first_once_it_is_a_month_old() {
    let (worker, laptop) = pinned().await;
    let oldest = worker.device();
    worker.prove(&oldest).await.unwrap();
    worker.clock.advance(1);
    recover(&worker, 22).await;
    worker.clock.advance(30 * DAY - worker.clock.now().since(Timestamp::from_unix(START)).as_secs().cast_signed());

    let not_yet = worker.derive(&worker.device()).await;
    worker.clock.advance(1);
    let phone = worker.device();
    let changes = worker.record.changes().len();
    worker.prove(&phone).await.unwrap();

    assert_eq!(not_yet, Err(ErrorCode::DeviceLimitReached));
    let replaced = DeviceChange::Replaced { key: phone.thumbprint(), old: oldest.thumbprint() };
    assert_eq!(worker.record.changes()[changes..], [replaced]);
    let old_sign_in = worker.clock.now().before(Duration::from_hours(1));
    let oldest = worker.signed_in(ADA, oldest.key, old_sign_in);
    assert_eq!(worker.prove(&oldest).await, Err(ErrorCode::DeviceNotPinned));
    // The account's first key stays, and so it is after a restart.
    let laptop = worker.signed_in(ADA, laptop.key, old_sign_in);
    let before = worker.list(&laptop).await;
    let worker = worker.restart().await;
    let [laptop, phone] = [laptop, phone].map(|device| worker.again(device));
    assert_eq!((worker.list(&laptop).await, before.devices.len()), (before, 24));
    worker.prove(&phone).await.unwrap();
}

#[tokio::test]
async fn the_first_key_gives_way_after_half_a_year_and_an_approved_one_never() {
    let (worker, laptop) = pinned().await;
    for _ in 0..3 {
        for _ in 0..8 {
            worker.approve(&laptop, &worker.device()).await.unwrap();
        }
        worker.clock.advance(HOUR);
    }
    worker.clock.advance(180 * DAY - 3 * HOUR);

    let not_yet = worker.derive(&worker.device()).await;
    worker.clock.advance(1);
    let phone = worker.device();
    worker.derive(&phone).await.unwrap();
    worker.clock.advance(29 * DAY);
    let no_more = worker.derive(&worker.device()).await;

    assert_eq!((not_yet, no_more), (Err(ErrorCode::DeviceLimitReached), Err(ErrorCode::DeviceLimitReached)));
    let replaced = DeviceChange::Replaced { key: phone.thumbprint(), old: laptop.thumbprint() };
    assert_eq!(worker.record.changes().last(), Some(&replaced));
}

#[tokio::test]
async fn an_account_has_twenty_changes_in_an_hour_and_is_told_when_the_next_one_is() {
    let (worker, laptop) = pinned().await;
    worker.clock.advance(MINUTE);
    for seconds in 1..20 {
        worker.wait(&laptop, seconds).await.unwrap();
    }

    let response = set_wait(&worker, &laptop, 20).await;
    let phone = worker.device();

    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (429, "3540"));
    assert_eq!(problem(response).await.error, ErrorCode::RateLimited);
    assert_eq!(worker.approve(&laptop, &phone).await, Err(ErrorCode::RateLimited));
    assert_eq!(worker.derive(&phone).await, Err(ErrorCode::RateLimited));
    // What changes nothing is no change, other accounts have changes of their own, and signing goes on.
    worker.wait(&laptop, 19).await.unwrap();
    worker.approve(&laptop, &laptop).await.unwrap();
    worker.derive(&worker.device_of(GRACE)).await.unwrap();
    worker.prove(&laptop).await.unwrap();
    assert_eq!(worker.record.changes().len(), 21);
    worker.clock.advance(HOUR - MINUTE);
    worker.wait(&laptop, 20).await.unwrap();
    assert_eq!(worker.wait(&laptop, 21).await, Err(ErrorCode::RateLimited));
}

#[tokio::test]
async fn a_restart_gives_no_more_changes() {
    let (worker, laptop) = pinned().await;
    for seconds in 1..20 {
        worker.wait(&laptop, seconds).await.unwrap();
    }

    let worker = worker.restart().await;

    let laptop = worker.again(laptop);
    assert_eq!(worker.wait(&laptop, 20).await, Err(ErrorCode::RateLimited));
}

#[tokio::test]
async fn no_number_of_sign_ins_keeps_a_pinned_device_from_changing_what_it_must() {
    let (worker, laptop) = pinned().await;
    let forged: Vec<Device> = (0..9).map(|_| worker.device()).collect();
    for device in &forged {
        worker.derive(device).await.unwrap();
    }

    let one_more = worker.derive(&worker.device()).await;
    for seconds in 1..=10 {
        worker.wait(&laptop, seconds).await.unwrap();
    }
    let eleventh = worker.wait(&laptop, 11).await;
    for device in &forged {
        worker.remove(&laptop, device).await.unwrap();
    }

    assert_eq!((one_more, eleventh), (Err(ErrorCode::RateLimited), Err(ErrorCode::RateLimited)));
    assert_eq!(worker.counts(&laptop).await, (1, 0));
}

#[tokio::test]
async fn few_wait_at_once_and_none_pushes_another_one_out() {
    let (worker, laptop) = pinned_with_a_wait().await;
    let mut waiting: Vec<Device> = (0..8).map(|_| worker.device()).collect();
    for device in &waiting {
        assert_eq!(worker.derive(device).await, Err(ErrorCode::DeviceWaiting));
    }

    let ninth = worker.device();
    let refused = worker.derive(&ninth).await;
    worker.remove(&laptop, &waiting.pop().unwrap()).await.unwrap();
    worker.clock.advance(1);
    let ninth = worker.signed_in(ADA, ninth.key, worker.clock.now());

    assert_eq!(refused, Err(ErrorCode::DeviceLimitReached));
    assert_eq!(worker.derive(&ninth).await, Err(ErrorCode::DeviceWaiting));
    assert_eq!(worker.derive(&waiting[0]).await, Err(ErrorCode::DeviceWaiting));
    worker.approve(&laptop, &worker.device()).await.unwrap();
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let (worker, laptop) = pinned_with_a_wait().await;
    let (phone, tablet, gone) = (worker.device(), worker.device(), worker.device());
    worker.approve(&laptop, &phone).await.unwrap();
    worker.approve(&laptop, &gone).await.unwrap();
    worker.remove(&phone, &gone).await.unwrap();
    worker.clock.advance(MINUTE);
    let tablet = worker.signed_in(ADA, tablet.key, worker.clock.now());
    worker.prove(&tablet).await.unwrap_err();
    let before = worker.list(&laptop).await;

    let worker = worker.restart().await;

    let [laptop, phone, tablet, gone] = [laptop, phone, tablet, gone].map(|device| worker.again(device));
    assert_eq!(worker.list(&laptop).await, before);
    assert_eq!((before.revision, before.devices.len()), (6, 3));
    worker.prove(&phone).await.unwrap();
    assert_eq!(worker.prove(&tablet).await, Err(ErrorCode::DeviceWaiting));
    assert_eq!(worker.prove(&gone).await, Err(ErrorCode::DeviceNotPinned));
}

#[tokio::test]
async fn of_many_first_uses_at_once_one_is_the_first() {
    let worker = Arc::new(Worker::start().await);
    let old = worker.clock.now().before(Duration::from_hours(1));
    let mut uses = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let worker = worker.clone();
        uses.spawn(async move {
            let device = worker.signed_in(ADA, DeviceKey::generate().unwrap(), old);
            worker.prove(&device).await
        });
    }

    let outcomes = uses.join_all().await;

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(ErrorCode::DeviceNotPinned))));
    assert_eq!((worker.record.changes().len(), worker.record.signings()), (1, 1));
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_does_not_happen() {
    let (worker, laptop) = pinned().await;
    let phone = worker.device();
    let before = worker.list(&laptop).await;

    worker.record.fails.store(true, Ordering::SeqCst);

    let unavailable = Err(ErrorCode::AuditUnavailable);
    assert_eq!(worker.approve(&laptop, &phone).await, unavailable);
    assert_eq!(worker.prove(&phone).await, unavailable);
    assert_eq!(worker.wait(&laptop, 60).await, unavailable);
    assert_eq!(worker.derive(&worker.device_of(GRACE)).await, unavailable);
    assert_eq!(worker.prove(&laptop).await, unavailable);
    assert_eq!(worker.list(&laptop).await, before);
    worker.record.fails.store(false, Ordering::SeqCst);
    worker.approve(&laptop, &phone).await.unwrap();
    worker.prove(&phone).await.unwrap();
}

#[tokio::test]
async fn a_first_use_that_was_recorded_too_late_to_be_answered_gives_way_to_the_one_that_was() {
    let worker = Worker::start().await;
    let (late, laptop) = (worker.device(), worker.device());
    worker.record.answers_late.store(true, Ordering::SeqCst);
    let unanswered = worker.prove(&late).await;
    worker.record.answers_late.store(false, Ordering::SeqCst);
    worker.prove(&laptop).await.unwrap();
    worker.clock.advance(10 * MINUTE);

    let worker = worker.restart().await;

    let [late, laptop] = [late, laptop].map(|device| worker.again(device));
    assert_eq!(unanswered, Err(ErrorCode::AuditUnavailable));
    assert_eq!(worker.prove(&laptop).await, Ok(()));
    assert_eq!(worker.prove(&late).await, Err(ErrorCode::DeviceNotPinned));
}

#[tokio::test]
async fn an_account_whose_keys_are_all_gone_is_recovered_and_never_claimed() {
    let (worker, laptop) = pinned_with_a_wait().await;
    let phone = worker.device();
    worker.approve(&laptop, &phone).await.unwrap();
    // Each removes the other, and the first removal comes to light only after the restart.
    worker.record.answers_late.store(true, Ordering::SeqCst);
    worker.remove(&laptop, &phone).await.unwrap_err();
    worker.record.answers_late.store(false, Ordering::SeqCst);
    worker.remove(&phone, &laptop).await.unwrap();
    worker.clock.advance(1);

    let worker = worker.restart().await;

    assert_eq!(worker.prove(&worker.device()).await, Err(ErrorCode::DeviceWaiting));
}

#[tokio::test]
async fn any_bound_session_of_the_account_may_look() {
    let (worker, laptop) = pinned().await;
    let old = worker.clock.now().before(Duration::from_hours(1));
    let stranger = worker.signed_in(ADA, DeviceKey::generate().unwrap(), old);

    let devices = worker.list(&stranger).await.devices;

    assert_eq!((devices[0].key, devices[0].is_this), (laptop.thumbprint(), false));
    assert_eq!(worker.list(&worker.device_of(GRACE)).await.devices, []);
    assert_eq!(worker.record.changes().len(), 1);
}

#[tokio::test]
async fn the_routes_of_devices_let_in_nobody_else() {
    let worker = Worker::start().await;
    let device = worker.device();
    let requests = || {
        [
            worker.get(paths::DEVICES),
            worker.client.put(worker.url(&device.path())),
            worker.client.delete(worker.url(&device.path())),
            worker.client.put(worker.url(paths::DEVICES_RECOVERY)),
        ]
    };

    for request in requests() {
        assert_eq!(outcome(request).await, Err(ErrorCode::TokenMissing));
    }
    for request in requests() {
        assert_eq!(outcome(request.bearer_auth(&device.token)).await, Err(ErrorCode::DpopRequired));
    }
    for request in requests() {
        let wallet_session = worker.wallet_session(ADA);
        assert_eq!(outcome(request.bearer_auth(wallet_session)).await, Err(ErrorCode::SessionRequired));
    }
    worker.broker.revoke(device.claims.sid);
    for (method, path) in
        [(Method::GET, paths::DEVICES.to_owned()), (Method::PUT, device.path()), (Method::DELETE, device.path())]
    {
        assert_eq!(done(worker.call(&device, method, &path, None).await).await, Err(ErrorCode::TokenRevoked));
    }
}

#[tokio::test]
async fn a_signer_that_pins_none_has_no_devices() {
    let bench = Bench::start().await;
    let (token, key) = (bench.session(ADA), DeviceKey::generate().unwrap().thumbprint());
    let by_key = format!("{}/{key}", paths::DEVICES);

    for request in [
        bench.get(paths::DEVICES).bearer_auth(&token),
        bench.client.put(bench.url(&by_key)).bearer_auth(&token),
        bench.client.delete(bench.url(&by_key)).bearer_auth(&token),
        bench.client.put(bench.url(paths::DEVICES_RECOVERY)).bearer_auth(&token),
    ] {
        assert_eq!(outcome(request).await, Err(ErrorCode::NotFound));
    }
    let response = bench.post(paths::DERIVE_ADDRESS, &token, &json!({"omni_account": ADA})).send().await.unwrap();
    assert_eq!(response.headers().get(headers::DEVICE_REVISION), None);
}
