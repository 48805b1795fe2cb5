//! [`GrantStore`](crate::GrantStore).

use std::sync::Arc;

use agentkeys_types::Timestamp;

use super::{
    approval::{
        SOURCE, approved, begin_grant, browser, code, decide, device, grant, grant_state, link, prove, proved, redeem,
        redeem_link, subject, try_redeem,
    },
    sample::{
        DAY, KEY, MANY, MINUTE, NOW, account, at_once, count, email, limit, open_session, outcomes, recorded, request,
        retire, seconds, session,
    },
};
use crate::{
    Begun, CODE_KEPT, Decided, Decision, DeviceLookup, Grant, GrantKind, GrantState, IdentityLink, Limit, Linking,
    Polled, Redeemed, SessionRecord, Store,
};

/// Every field of every kind comes back.
pub async fn a_grant_is_found_as_it_was_begun(store: Arc<dyn Store>) {
    let nameless = Grant { client_name: None, key: None, source: [1; 16].into(), ..grant(4, device(4)) };
    let grants = [grant(1, code()), grant(2, device(2)), grant(3, link("ada")), nameless];

    for grant in grants.clone() {
        assert_eq!(store.begin_grant(grant, vec![]).await.unwrap(), Begun::Begun);
    }

    for grant in grants {
        assert_eq!(store.find_grant(grant.secret).await.unwrap(), Some((grant, GrantState::Waiting)));
    }
    assert_eq!(store.find_grant(request(5)).await.unwrap(), None);
}

/// A second one is an error, and the first stays.
pub async fn a_secret_and_a_user_code_name_one_grant_only(store: Arc<dyn Store>) {
    let first = begin_grant(&store, 1, device(1)).await;

    store.begin_grant(grant(1, code()), vec![]).await.unwrap_err();
    store.begin_grant(grant(2, device(1)), vec![]).await.unwrap_err();

    assert_eq!(store.find_grant(request(1)).await.unwrap(), Some((first, GrantState::Waiting)));
    assert_eq!(store.find_grant(request(2)).await.unwrap(), None);
}

/// However many at once; and it counts against none of its limits.
pub async fn a_limited_grant_is_not_kept(store: Arc<dyn Store>) {
    let begun = at_once(&store, |store, number| async move {
        let limits = vec![limit("all", 6, MINUTE), limit("device", 5, MINUTE)];
        (number, store.begin_grant(grant(number, device(number)), limits).await.unwrap())
    })
    .await;

    assert_eq!(begun.iter().filter(|(_, begun)| *begun == Begun::Begun).count(), 5);
    for (number, begun) in begun {
        assert_eq!(store.find_grant(request(number)).await.unwrap().is_some(), begun == Begun::Begun);
    }
    let begun = store.begin_grant(grant(MANY, device(MANY)), vec![limit("all", 6, MINUTE)]).await.unwrap();
    assert_eq!(begun, Begun::Begun);
}

/// The session with the grant's own client name, device key and address, the identity's link and the entry are all there.
pub async fn an_approved_grant_opens_a_session_and_is_recorded(store: Arc<dyn Store>) {
    for (number, kind) in [(1, code()), (2, device(2))] {
        let name = format!("ada{number}");
        approved(&store, number, kind, &name).await;
        assert_eq!(grant_state(&store, number).await, GrantState::Approved(proved(&name)));
        let now = NOW.after(seconds(30));

        let redeemed = redeem(&store, number, &name, number, now).await;

        let ada = account(&name);
        assert_eq!(redeemed, Redeemed::Opened { account: ada });
        let opened = SessionRecord {
            client_name: grant(1, code()).client_name,
            key: Some(KEY),
            source: Some(SOURCE),
            ..SessionRecord::opened(session(number), ada, subject(&name), now, now.after(30 * DAY))
        };
        assert_eq!(store.find_session(session(number)).await.unwrap(), Some(opened));
        let link = IdentityLink { identity: subject(&name), email: proved(&name).email, account: ada, linked_at: now };
        assert_eq!(store.identities(ada).await.unwrap(), [link]);
        assert_eq!(grant_state(&store, number).await, GrantState::Used { opened: Some(session(number)) });
        let entries = recorded(&store).await;
        let last = entries.last().unwrap();
        assert_eq!((last.action.as_str(), last.outcome.as_str()), ("sign_in", "done"));
        assert_eq!((last.account, last.session), (Some(ada), Some(session(number))));
        assert_eq!(entries.len(), number);
    }
}

/// Not the one that it would anchor.
pub async fn an_approved_grant_opens_the_account_that_its_identity_is_linked_to(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    approved(&store, 1, link("ada"), "ada.too").await;
    assert_eq!(redeem_link(&store, 1, "ada.too", "ada", NOW).await, Some(Linking::Linked));

    approved(&store, 2, device(2), "ada.too").await;

    assert_eq!(redeem(&store, 2, "ada.too", 2, NOW).await, Redeemed::Opened { account: ada });
    assert_eq!(store.find_session(session(2)).await.unwrap().unwrap().account, ada);
    assert_eq!(recorded(&store).await[2].account, Some(ada));
}

/// Exactly one, however many at once, and it is recorded once.
pub async fn of_many_redemptions_one_opens_a_session(store: Arc<dyn Store>) {
    approved(&store, 1, device(1), "ada").await;

    let redeemed = at_once(&store, |store, number| async move { redeem(&store, 1, "ada", number, NOW).await }).await;

    assert_eq!(count(&redeemed, &Redeemed::Opened { account: account("ada") }), 1);
    assert_eq!(count(&redeemed, &Redeemed::Over), redeemed.len() - 1);
    let sessions = store.sessions(account("ada"), NOW).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(grant_state(&store, 1).await, GrantState::Used { opened: Some(sessions[0].id) });
    assert_eq!(recorded(&store).await.len(), 1);
}

/// Nor what somebody refused, nor what is unknown; and one that waits goes on waiting.
pub async fn what_nobody_approved_opens_nothing(store: Arc<dyn Store>) {
    begin_grant(&store, 1, device(1)).await;
    begin_grant(&store, 2, device(2)).await;
    prove(&store, browser(2, 2), "ada").await;
    assert_eq!(decide(&store, 2, Decision::Refuse, NOW).await, Decided::Done);

    for number in 1..=3 {
        assert_eq!(redeem(&store, number, "ada", number, NOW).await, Redeemed::Over);
        assert_eq!(store.find_session(session(number)).await.unwrap(), None);
    }

    assert_eq!(grant_state(&store, 1).await, GrantState::Waiting);
    assert_eq!(grant_state(&store, 2).await, GrantState::Refused);
    assert_eq!(outcomes(&store).await.len(), 1);
}

/// Neither as somebody else, nor for another account or another end; and no such try uses it up.
pub async fn a_grant_opens_what_was_approved_and_nothing_else(store: Arc<dyn Store>) {
    approved(&store, 1, device(1), "ada").await;
    approved(&store, 2, link("ada"), "ada.too").await;

    assert_eq!(redeem(&store, 1, "mallory", 1, NOW).await, Redeemed::Over);
    assert_eq!(redeem(&store, 2, "ada.too", 1, NOW).await, Redeemed::Over);
    assert_eq!(redeem_link(&store, 1, "ada", "ada", NOW).await, None);
    assert_eq!(redeem_link(&store, 2, "mallory", "ada", NOW).await, None);
    assert_eq!(redeem_link(&store, 2, "ada.too", "mallory", NOW).await, None);

    assert!(recorded(&store).await.is_empty());
    assert_eq!(redeem(&store, 1, "ada", 1, NOW).await, Redeemed::Opened { account: account("ada") });
    assert_eq!(redeem_link(&store, 2, "ada.too", "ada", NOW).await, Some(Linking::Linked));
}

/// The grant is not used up, nothing is linked, and nothing recorded.
pub async fn a_session_id_that_is_taken_changes_nothing(store: Arc<dyn Store>) {
    approved(&store, 1, device(1), "mallory").await;
    approved(&store, 2, device(2), "ada").await;
    assert_eq!(redeem(&store, 1, "mallory", 9, NOW).await, Redeemed::Opened { account: account("mallory") });

    try_redeem(&store, 2, "ada", 9, NOW).await.unwrap_err();

    assert_eq!(store.find_session(session(9)).await.unwrap().unwrap().account, account("mallory"));
    assert_eq!(store.find_account(&subject("ada")).await.unwrap(), None);
    assert_eq!(recorded(&store).await.len(), 1);
    assert_eq!(redeem(&store, 2, "ada", 2, NOW).await, Redeemed::Opened { account: account("ada") });
}

/// The last second before counts; the expiry itself does not, and nothing does after it was seen.
pub async fn a_grant_ends_at_its_expiry_wherever_the_clock_goes(store: Arc<dyn Store>) {
    let expiry = approved(&store, 1, device(1), "ada").await.expires_at;
    approved(&store, 2, device(2), "ada").await;

    assert_eq!(redeem(&store, 1, "ada", 1, expiry).await, Redeemed::Over);
    assert_eq!(redeem(&store, 1, "ada", 1, NOW).await, Redeemed::Over);
    assert_eq!(grant_state(&store, 1).await, GrantState::Expired);
    assert!(recorded(&store).await.is_empty());
    let opened = Redeemed::Opened { account: account("ada") };
    assert_eq!(redeem(&store, 2, "ada", 2, expiry.before(seconds(1))).await, opened);
}

/// Wherever the clock goes; a second before it still may be.
pub async fn a_grant_that_was_asked_for_at_its_expiry_is_never_approved(store: Arc<dyn Store>) {
    let expiry = begin_grant(&store, 1, device(1)).await.expires_at;
    begin_grant(&store, 2, device(2)).await;
    for number in [1, 2] {
        prove(&store, browser(number, number), "ada").await;
    }

    assert_eq!(poll(&store, 1, expiry).await, Polled::InTime);
    assert_eq!(poll(&store, 2, expiry.before(seconds(1))).await, Polled::InTime);

    assert_eq!(grant_state(&store, 1).await, GrantState::Expired);
    assert_eq!(decide(&store, 1, Decision::Approve, NOW).await, Decided::Over);
    assert_eq!(decide(&store, 2, Decision::Approve, NOW).await, Decided::Done);
}

/// To the second. A device, which asks only now and then, is given its whole time.
pub async fn an_approved_code_counts_for_a_minute(store: Arc<dyn Store>) {
    for (number, kind) in [(1, code()), (2, code()), (3, device(3))] {
        approved(&store, number, kind, "ada").await;
    }

    assert_eq!(store.find_grant(request(1)).await.unwrap().unwrap().0.expires_at, NOW.after(CODE_KEPT));
    assert_eq!(redeem(&store, 1, "ada", 1, NOW.after(CODE_KEPT)).await, Redeemed::Over);
    let opened = Redeemed::Opened { account: account("ada") };
    assert_eq!(redeem(&store, 2, "ada", 2, NOW.after(CODE_KEPT).before(seconds(1))).await, opened);
    assert_eq!(redeem(&store, 3, "ada", 3, NOW.after(CODE_KEPT)).await, opened);
}

/// Approved half a minute before, it counts for half a minute.
pub async fn an_approved_code_never_counts_beyond_its_expiry(store: Arc<dyn Store>) {
    let expiry = grant(1, code()).expires_at;
    for number in [1, 2] {
        begin_grant(&store, number, code()).await;
        prove(&store, browser(number, number), "ada").await;
        assert_eq!(decide(&store, number, Decision::Approve, expiry.before(seconds(30))).await, Decided::Done);
    }

    assert_eq!(redeem(&store, 1, "ada", 1, expiry).await, Redeemed::Over);
    let opened = Redeemed::Opened { account: account("ada") };
    assert_eq!(redeem(&store, 2, "ada", 2, expiry.before(seconds(1))).await, opened);
}

/// The grant is used up, no session is open, and the refusal is recorded for the account.
pub async fn an_identity_that_is_retired_in_between_opens_nothing(store: Arc<dyn Store>) {
    approved(&store, 1, device(1), "ada").await;
    assert_eq!(redeem(&store, 1, "ada", 1, NOW).await, Redeemed::Opened { account: account("ada") });
    approved(&store, 2, device(2), "ada").await;
    retire(&store, "ada", subject("ada"), email("ada.too")).await;

    assert_eq!(redeem(&store, 2, "ada", 2, NOW).await, Redeemed::Retired);

    assert_eq!(redeem(&store, 2, "ada", 2, NOW).await, Redeemed::Over);
    assert_eq!(grant_state(&store, 2).await, GrantState::Used { opened: None });
    assert_eq!(store.find_session(session(2)).await.unwrap(), None);
    let entries = recorded(&store).await;
    let last = entries.last().unwrap();
    assert_eq!((last.action.as_str(), last.outcome.as_str()), ("sign_in", "retired"));
    assert_eq!((last.account, last.session), (Some(account("ada")), None));
}

/// And by no other, nor once it is decided.
pub async fn a_device_is_found_by_its_code_while_it_waits(store: Arc<dyn Store>) {
    let waits = begin_grant(&store, 1, device(1)).await;
    begin_grant(&store, 2, code()).await;
    approved(&store, 3, device(3), "ada").await;

    assert_eq!(look_up(&store, 1, NOW, vec![]).await, DeviceLookup::Found(Box::new(waits)));
    for number in [2, 3, 4] {
        assert_eq!(look_up(&store, number, NOW, vec![]).await, DeviceLookup::Unknown);
    }
}

/// Wherever the clock goes; a second before it is.
pub async fn a_device_that_was_looked_for_at_its_expiry_is_never_found(store: Arc<dyn Store>) {
    let waits = begin_grant(&store, 1, device(1)).await;
    let expiry = waits.expires_at;

    let found = look_up(&store, 1, expiry.before(seconds(1)), vec![]).await;
    assert_eq!(found, DeviceLookup::Found(Box::new(waits)));
    assert_eq!(look_up(&store, 1, expiry, vec![]).await, DeviceLookup::Unknown);
    assert_eq!(look_up(&store, 1, NOW, vec![]).await, DeviceLookup::Unknown);
    assert_eq!(grant_state(&store, 1).await, GrantState::Expired);
}

/// However many at once, right or wrong, and beyond them nothing is said.
pub async fn every_lookup_counts_against_its_limits(store: Arc<dyn Store>) {
    begin_grant(&store, 1, device(1)).await;

    let found = at_once(&store, |store, number| async move {
        look_up(&store, number % 2, NOW, vec![limit("user_code", 5, MINUTE)]).await
    })
    .await;

    assert_eq!(count(&found, &DeviceLookup::Limited { retry_after: MINUTE }), MANY - 5);
    let limited = look_up(&store, 1, NOW, vec![limit("user_code", 5, MINUTE)]).await;
    assert_eq!(limited, DeviceLookup::Limited { retry_after: MINUTE });
    let again = look_up(&store, 1, NOW.after(MINUTE), vec![limit("user_code", 5, MINUTE)]).await;
    assert!(matches!(again, DeviceLookup::Found(_)));
}

/// By five seconds each time, to the second.
pub async fn asking_too_soon_makes_the_wait_longer_and_it_stays_so(store: Arc<dyn Store>) {
    begin_grant(&store, 1, device(1)).await;

    let mut now = NOW;
    for (waited, polled) in [
        (0, Polled::InTime),
        (5, Polled::InTime),
        (4, Polled::TooSoon),
        (9, Polled::TooSoon),
        (15, Polled::InTime),
        (14, Polled::TooSoon),
        (20, Polled::InTime),
        (20, Polled::InTime),
    ] {
        now = now.after(seconds(waited));
        assert_eq!(poll(&store, 1, now).await, polled, "after {waited} s");
    }
}

/// It need not wait until the clock is where it was.
pub async fn a_clock_that_steps_back_slows_a_client_down_once(store: Arc<dyn Store>) {
    begin_grant(&store, 1, device(1)).await;
    assert_eq!(poll(&store, 1, NOW.after(MINUTE)).await, Polled::InTime);

    assert_eq!(poll(&store, 1, NOW).await, Polled::TooSoon);
    assert_eq!(poll(&store, 1, NOW.after(seconds(10))).await, Polled::InTime);
    assert_eq!(poll(&store, 1, NOW.after(seconds(20))).await, Polled::InTime);
}

/// What is decided, over or unknown is told at once.
pub async fn only_what_waits_can_be_asked_for_too_soon(store: Arc<dyn Store>) {
    approved(&store, 1, device(1), "ada").await;
    let expiry = begin_grant(&store, 2, device(2)).await.expires_at;

    for (number, now) in [(1, NOW), (2, expiry), (3, NOW)] {
        assert_eq!(poll(&store, number, now).await, Polled::InTime);
        assert_eq!(poll(&store, number, now).await, Polled::InTime);
    }
}

/// And the wait grows by each of the others.
pub async fn of_many_questions_at_once_one_is_in_time(store: Arc<dyn Store>) {
    let long = Grant { expires_at: NOW.after(DAY), ..grant(1, device(1)) };
    store.begin_grant(long, vec![]).await.unwrap();

    let polled = at_once(&store, |store, _| async move { poll(&store, 1, NOW).await }).await;

    assert_eq!(count(&polled, &Polled::InTime), 1);
    let now = NOW.after(seconds(5 * MANY as u64));
    assert_eq!(poll(&store, 1, now).await, Polled::InTime);
    assert_eq!(poll(&store, 1, now.after(seconds(5 * MANY as u64 - 1))).await, Polled::TooSoon);
}

/// And it is recorded once.
pub async fn of_many_links_by_one_grant_one_is_made(store: Arc<dyn Store>) {
    approved(&store, 1, link("ada"), "ada.too").await;

    let linkings = at_once(&store, |store, _| async move { redeem_link(&store, 1, "ada.too", "ada", NOW).await }).await;

    assert_eq!(count(&linkings, &Some(Linking::Linked)), 1);
    assert_eq!(count(&linkings, &None), linkings.len() - 1);
    assert_eq!(grant_state(&store, 1).await, GrantState::Used { opened: None });
    assert_eq!(outcomes(&store).await, [("link_identity".to_owned(), "done".to_owned())]);
}

/// The last second before counts; the expiry itself does not, and nothing does after it was seen.
pub async fn a_link_ends_at_its_expiry_wherever_the_clock_goes(store: Arc<dyn Store>) {
    let expiry = approved(&store, 1, link("ada"), "ada.too").await.expires_at;
    approved(&store, 2, link("ada"), "ada.too").await;

    assert_eq!(redeem_link(&store, 1, "ada.too", "ada", expiry).await, None);
    assert_eq!(redeem_link(&store, 1, "ada.too", "ada", NOW).await, None);
    assert_eq!(store.find_account(&subject("ada.too")).await.unwrap(), None);
    let last_second = expiry.before(seconds(1));
    assert_eq!(redeem_link(&store, 2, "ada.too", "ada", last_second).await, Some(Linking::Linked));
}

/// The other is told, and nothing of the first is changed.
pub async fn of_two_accounts_that_link_by_grants_one_gets_the_identity(store: Arc<dyn Store>) {
    let names = ["ada", "mallory"];
    for number in 0..MANY {
        approved(&store, number, link(names[number % 2]), "both").await;
    }

    let linkings = at_once(&store, |store, number| async move {
        let to = names[number % 2];
        (account(to), redeem_link(&store, number, "both", to, NOW).await.unwrap())
    })
    .await;

    let owner = store.find_account(&subject("both")).await.unwrap().unwrap();
    assert_eq!(count(&linkings, &(owner, Linking::Linked)), 1);
    assert_eq!(count(&linkings, &(owner, Linking::Already)), MANY / 2 - 1);
    assert_eq!(linkings.iter().filter(|(to, linking)| *to != owner && *linking == Linking::Taken).count(), MANY / 2);
    assert_eq!(recorded(&store).await.len(), 1 + MANY / 2);
}

async fn poll(store: &Arc<dyn Store>, number: usize, now: Timestamp) -> Polled {
    store.poll_grant(request(number), now).await.unwrap()
}

/// Looks up what the person types for the device of this number.
async fn look_up(store: &Arc<dyn Store>, number: usize, now: Timestamp, limits: Vec<Limit>) -> DeviceLookup {
    let GrantKind::Device { user_code } = device(number) else { unreachable!("it is a device") };
    store.find_device_grant(user_code, now, limits).await.unwrap()
}
