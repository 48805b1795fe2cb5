//! [`Limit`]s, as entries and sign-ins count against them.

use std::sync::Arc;

use agentkeys_types::Timestamp;

use super::sample::{
    MINUTE, NOW, RIGHT, WRONG, account, at_once, begin, count, entry, limit, opening, recorded, request, seconds,
    sign_in,
};
use crate::{Action, Begun, CodeAnswer, CodeOutcome, Limit, Purpose, Recorded, Store};

/// However many at once, for entries and for sign-ins.
pub async fn a_limit_is_never_exceeded_by_many_at_once(store: Arc<dyn Store>) {
    let recorded_entries =
        at_once(&store, |store, _| async move { append(&store, NOW, [limit("mint", 7, MINUTE)]).await }).await;
    let begun = at_once(&store, |store, number| async move {
        store.begin_email_sign_in(sign_in(number), vec![limit("email", 5, MINUTE)], None).await.unwrap()
    })
    .await;

    assert_eq!(count(&recorded_entries, &Recorded::Recorded), 7);
    assert_eq!(count(&begun, &Begun::Begun), 5);
    assert_eq!(recorded(&store).await.len(), 7);
}

/// The window opens with the first use, not with each.
pub async fn a_limit_refuses_until_its_window_is_over(store: Arc<dyn Store>) {
    let limits = [limit("mint", 2, MINUTE)];
    assert_eq!(append(&store, NOW, &limits).await, Recorded::Recorded);
    assert_eq!(append(&store, NOW.after(seconds(50)), &limits).await, Recorded::Recorded);

    let limited = Recorded::Limited { retry_after: seconds(1) };
    assert_eq!(append(&store, NOW.after(seconds(59)), &limits).await, limited);
    assert_eq!(append(&store, NOW.after(seconds(60)), &limits).await, Recorded::Recorded);
    assert_eq!(append(&store, NOW.after(seconds(61)), &limits).await, Recorded::Recorded);
    let limited = Recorded::Limited { retry_after: seconds(58) };
    assert_eq!(append(&store, NOW.after(seconds(62)), &limits).await, limited);
}

/// And another key is not touched by it.
pub async fn a_limited_entry_is_not_recorded(store: Arc<dyn Store>) {
    assert_eq!(append(&store, NOW, [limit("ada", 1, MINUTE)]).await, Recorded::Recorded);
    let limited = Recorded::Limited { retry_after: MINUTE };
    assert_eq!(append(&store, NOW, [limit("ada", 1, MINUTE)]).await, limited);

    assert_eq!(recorded(&store).await.len(), 1);
    assert_eq!(append(&store, NOW, [limit("mallory", 1, MINUTE)]).await, Recorded::Recorded);
}

/// Wherever among them the one is that refuses.
pub async fn limits_count_together_or_not_at_all(store: Arc<dyn Store>) {
    let (full, free) = (limit("full", 1, MINUTE), limit("free", 2, MINUTE));
    assert_eq!(append(&store, NOW, [full.clone()]).await, Recorded::Recorded);
    for limits in [[free.clone(), full.clone()], [full, free.clone()]] {
        let limited = Recorded::Limited { retry_after: MINUTE };
        assert_eq!(append(&store, NOW, &limits).await, limited);
        let begun = store.begin_email_sign_in(sign_in(1), limits.to_vec(), None).await.unwrap();
        assert_eq!(begun, Begun::Limited { retry_after: MINUTE });
    }

    assert_eq!(append(&store, NOW, [free.clone()]).await, Recorded::Recorded);
    assert_eq!(append(&store, NOW, [free.clone()]).await, Recorded::Recorded);
    assert_eq!(append(&store, NOW, [free]).await, Recorded::Limited { retry_after: MINUTE });
    assert_eq!(recorded(&store).await.len(), 3);
}

/// Whoever waits that long is let in.
pub async fn the_longest_wait_is_told(store: Arc<dyn Store>) {
    let (short, long) = (limit("short", 1, MINUTE), limit("long", 1, 60 * MINUTE));
    assert_eq!(append(&store, NOW, [short.clone(), long.clone()]).await, Recorded::Recorded);

    let limited = Recorded::Limited { retry_after: 60 * MINUTE };
    assert_eq!(append(&store, NOW, [short.clone(), long.clone()]).await, limited);
    assert_eq!(append(&store, NOW, [long.clone(), short.clone()]).await, limited);
    assert_eq!(append(&store, NOW.after(60 * MINUTE), [short, long]).await, Recorded::Recorded);
}

/// Also for the first time, and after a window that let some in.
pub async fn a_limit_of_none_always_refuses(store: Arc<dyn Store>) {
    let none = limit("mint", 0, MINUTE);

    let limited = Recorded::Limited { retry_after: MINUTE };
    assert_eq!(append(&store, NOW, [none.clone()]).await, limited);
    assert_eq!(append(&store, NOW, [limit("mint", 1, MINUTE)]).await, Recorded::Recorded);
    assert_eq!(append(&store, NOW.after(2 * MINUTE), [none]).await, limited);
}

/// A key is counted in one place.
pub async fn sign_ins_and_entries_share_a_limit(store: Arc<dyn Store>) {
    let limits = vec![limit("source:127.0.0.1", 1, MINUTE)];
    assert_eq!(append(&store, NOW, limits.as_slice()).await, Recorded::Recorded);

    let begun = store.begin_email_sign_in(sign_in(1), limits, None).await.unwrap();

    assert_eq!(begun, Begun::Limited { retry_after: MINUTE });
}

/// Nobody can answer it.
pub async fn a_limited_sign_in_is_not_kept(store: Arc<dyn Store>) {
    let begun = store.begin_email_sign_in(sign_in(1), vec![limit("email", 0, MINUTE)], None).await.unwrap();

    assert_eq!(begun, Begun::Limited { retry_after: MINUTE });
    assert_eq!(store.find_email_sign_in(request(1)).await.unwrap(), None);
}

/// The code still works once the limit opens again, and nothing is recorded before.
pub async fn a_limited_answer_changes_nothing(store: Arc<dyn Store>) {
    begin(&store, 1).await;
    for code_hash in [RIGHT, WRONG] {
        let outcome = answer(&store, 1, code_hash, limit("code", 0, MINUTE)).await;
        assert_eq!(outcome, CodeOutcome::Limited { retry_after: MINUTE });
    }

    assert!(recorded(&store).await.is_empty());
    let outcome = answer(&store, 1, RIGHT, limit("code", 1, MINUTE)).await;
    assert_eq!(outcome, CodeOutcome::Accepted { account: Some(account("ada")) });
}

/// Whatever comes of it.
pub async fn every_answer_counts_against_its_limits(store: Arc<dyn Store>) {
    begin(&store, 1).await;
    let of_four = || limit("code", 4, MINUTE);

    assert_eq!(answer(&store, 1, WRONG, of_four()).await, CodeOutcome::Wrong);
    assert_eq!(answer(&store, 2, RIGHT, of_four()).await, CodeOutcome::Unknown);
    let accepted = CodeOutcome::Accepted { account: Some(account("ada")) };
    assert_eq!(answer(&store, 1, RIGHT, of_four()).await, accepted);
    assert_eq!(answer(&store, 1, RIGHT, of_four()).await, CodeOutcome::Over);

    assert_eq!(answer(&store, 2, RIGHT, of_four()).await, CodeOutcome::Limited { retry_after: MINUTE });
}

/// The window lasts at least as long as it should.
pub async fn stepping_the_clock_back_opens_no_limit(store: Arc<dyn Store>) {
    let limits = [limit("mint", 1, MINUTE)];
    assert_eq!(append(&store, NOW, &limits).await, Recorded::Recorded);

    let limited = append(&store, NOW.before(seconds(30)), &limits).await;

    assert_eq!(limited, Recorded::Limited { retry_after: seconds(90) });
}

async fn append(store: &Arc<dyn Store>, now: Timestamp, limits: impl Into<Vec<Limit>>) -> Recorded {
    store.append(entry(Action::MintOidcJwt, now), limits.into()).await.unwrap()
}

async fn answer(store: &Arc<dyn Store>, number: usize, code_hash: [u8; 32], limit: Limit) -> CodeOutcome {
    let answer = CodeAnswer { request: request(number), code_hash, purpose: Purpose::Session, now: NOW };
    store.answer(answer, opening("ada", number, NOW), entry(Action::SignIn, NOW), vec![limit], None).await.unwrap()
}
