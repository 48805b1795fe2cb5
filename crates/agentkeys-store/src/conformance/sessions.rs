//! [`SessionStore`](crate::SessionStore).

use std::sync::Arc;

use agentkeys_types::Timestamp;

use super::sample::{DAY, KEY, MINUTE, NOW, account, at_once, count, entry, open_session, outcomes, seconds, session};
use crate::{Action, Renewal, RenewalRequest, Store};

/// None was opened under this id.
pub async fn an_unknown_session_is_not_found(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;

    assert_eq!(store.find_session(session(2)).await.unwrap(), None);
}

/// A session counts up to, and not at, its expiry, and is still remembered then.
pub async fn a_session_ends_at_its_expiry(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    let expiry = NOW.after(30 * DAY);

    assert_eq!(store.sessions(ada, expiry.before(MINUTE)).await.unwrap().len(), 1);
    assert!(store.sessions(ada, expiry).await.unwrap().is_empty());
    let session = store.find_session(session(1)).await.unwrap().unwrap();
    assert!(session.stands(expiry.before(MINUTE)));
    assert!(!session.stands(expiry));
}

/// Those of one account only.
pub async fn sessions_are_listed_newest_first_while_they_stand(store: Arc<dyn Store>) {
    let ada = account("ada");
    for (number, minutes) in [(1, 1), (2, 3), (3, 2)] {
        open_session(&store, "ada", number, NOW.after(minutes * MINUTE)).await;
    }
    open_session(&store, "mallory", 4, NOW).await;
    store.revoke_session(ada, session(3), entry(Action::RevokeSession, NOW)).await.unwrap();

    let listed: Vec<_> = store.sessions(ada, NOW).await.unwrap().into_iter().map(|session| session.id).collect();

    assert_eq!(listed, [session(2), session(1)]);
}

/// And stands no longer, wherever the clock goes.
pub async fn a_revoked_session_says_since_when(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;

    assert!(store.revoke_session(ada, session(1), entry(Action::RevokeSession, NOW.after(MINUTE))).await.unwrap());

    let session = store.find_session(session(1)).await.unwrap().unwrap();
    assert_eq!(session.revoked_at, Some(NOW.after(MINUTE)));
    assert!(!session.stands(NOW));
}

/// However many at once, and it is recorded once.
pub async fn a_session_is_revoked_once(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;

    let revoked = at_once(&store, |store, _| async move {
        store.revoke_session(ada, session(1), entry(Action::RevokeSession, NOW)).await.unwrap()
    })
    .await;

    assert_eq!(count(&revoked, &true), 1);
    assert_eq!(outcomes(&store).await.len(), 2);
}

/// And nothing is recorded.
pub async fn only_its_own_account_revokes_a_session(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;

    let revoked = store.revoke_session(account("mallory"), session(1), entry(Action::RevokeSession, NOW)).await;

    assert!(!revoked.unwrap());
    assert_eq!(store.sessions(ada, NOW).await.unwrap().len(), 1);
    assert_eq!(outcomes(&store).await.len(), 1);
}

/// It is over already.
pub async fn an_expired_session_is_not_revoked(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    let expiry = NOW.after(30 * DAY);

    assert!(!store.revoke_session(ada, session(1), entry(Action::RevokeSession, expiry)).await.unwrap());
    assert!(store.revoke_sessions(ada, entry(Action::RevokeAllSessions, expiry)).await.unwrap().is_empty());

    assert_eq!(store.find_session(session(1)).await.unwrap().unwrap().revoked_at, None);
    assert_eq!(outcomes(&store).await.len(), 1);
}

/// It names each that it revoked, and is recorded once.
pub async fn revoking_all_spares_other_accounts(store: Arc<dyn Store>) {
    let ada = account("ada");
    for number in 1..=3 {
        open_session(&store, "ada", number, NOW).await;
    }
    let mallory = open_session(&store, "mallory", 4, NOW).await;
    store.revoke_session(ada, session(2), entry(Action::RevokeSession, NOW)).await.unwrap();

    let mut revoked = store.revoke_sessions(ada, entry(Action::RevokeAllSessions, NOW)).await.unwrap();

    revoked.sort();
    assert_eq!(revoked, [session(1), session(3)]);
    assert!(store.sessions(ada, NOW).await.unwrap().is_empty());
    assert_eq!(store.sessions(mallory, NOW).await.unwrap().len(), 1);
    assert_eq!(outcomes(&store).await.len(), 6);
}

/// Neither one nor all.
pub async fn revoking_nothing_is_not_recorded(store: Arc<dyn Store>) {
    assert!(!store.revoke_session(account("ada"), session(1), entry(Action::RevokeSession, NOW)).await.unwrap());
    let revoked = store.revoke_sessions(account("ada"), entry(Action::RevokeAllSessions, NOW)).await.unwrap();

    assert!(revoked.is_empty());
    assert!(outcomes(&store).await.is_empty());
}

/// Those of its sign-in.
pub async fn a_session_knows_its_key_and_where_it_was_opened(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;

    let session = store.find_session(session(1)).await.unwrap().unwrap();

    assert_eq!(session.key, Some(KEY));
    assert_eq!(session.source, Some([127, 0, 0, 1].into()));
    assert_eq!((session.last_used_at, session.renewed_at), (None, None));
}

/// From then on its older tokens do not count.
pub async fn a_renewed_session_lives_on_and_is_recorded(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;
    let (later, end) = (NOW.after(20 * DAY), NOW.after(50 * DAY));

    let renewal = renew(&store, NOW, later).await;

    assert_eq!(renewal, Renewal::Renewed { issued_at: later, expires_at: end });
    let session = store.find_session(session(1)).await.unwrap().unwrap();
    assert!(session.stands(end.before(MINUTE)) && !session.stands(end));
    assert!(session.supersedes(NOW) && !session.supersedes(later));
    assert_eq!(outcomes(&store).await.last().unwrap().0, "renew_session");
}

/// And is recorded once; even in the second in which the session was opened.
pub async fn of_many_renewals_one_renews_and_all_get_its_token(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;

    let renewals = at_once(&store, |store, _| async move { renew(&store, NOW, NOW).await }).await;

    let issued_at = NOW.after(seconds(1));
    assert!(
        renewals.iter().all(|renewal| matches!(renewal, Renewal::Renewed { issued_at: at, .. } if *at == issued_at))
    );
    assert_eq!(outcomes(&store).await.len(), 2);
}

/// Not later, and not with an older token.
pub async fn a_lost_answer_can_be_asked_for_again_for_ten_minutes(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;
    let later = NOW.after(DAY);
    let first = renew(&store, NOW, later).await;

    let again = renew(&store, NOW, later.after(10 * MINUTE).before(seconds(1))).await;

    assert_eq!(again, first);
    assert_eq!(renew(&store, NOW, later.after(10 * MINUTE)).await, Renewal::Reused);
}

/// For good, and it is recorded.
pub async fn a_token_that_was_replaced_revokes_its_session(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;
    let (first, second) = (NOW.after(DAY), NOW.after(2 * DAY));
    renew(&store, NOW, first).await;
    renew(&store, first, second).await;

    let reused = renew(&store, NOW, second.after(seconds(1))).await;

    assert_eq!(reused, Renewal::Reused);
    assert!(!store.find_session(session(1)).await.unwrap().unwrap().stands(second));
    assert_eq!(outcomes(&store).await.last().unwrap().0, "reuse_token");
    assert_eq!(renew(&store, second, second.after(seconds(2))).await, Renewal::Over);
}

/// Whether revoked, expired or never opened.
pub async fn a_session_that_is_over_is_not_renewed(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    assert_eq!(renew(&store, NOW, NOW.after(30 * DAY)).await, Renewal::Over);
    store.revoke_session(ada, session(1), entry(Action::RevokeSession, NOW)).await.unwrap();

    let recorded = outcomes(&store).await.len();

    assert_eq!(renew(&store, NOW, NOW).await, Renewal::Over);
    let unknown = RenewalRequest { id: session(2), issued_at: NOW, expires_at: NOW.after(DAY) };
    assert_eq!(store.renew_session(unknown, entry(Action::RenewSession, NOW)).await.unwrap(), Renewal::Over);
    assert_eq!(outcomes(&store).await.len(), recorded);
}

/// And never goes back.
pub async fn the_last_use_of_a_session_is_noted(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;

    for at in [NOW.after(MINUTE), NOW] {
        store.note_use(session(1), at).await.unwrap();
    }

    let session = store.find_session(session(1)).await.unwrap().unwrap();
    assert_eq!(session.last_used_at, Some(NOW.after(MINUTE)));
    assert_eq!(outcomes(&store).await.len(), 1);
}

/// Renews ada's session with the token that was issued at `issued_at`, for thirty days.
async fn renew(store: &Arc<dyn Store>, issued_at: Timestamp, now: Timestamp) -> Renewal {
    let request = RenewalRequest { id: session(1), issued_at, expires_at: now.after(30 * DAY) };
    store.renew_session(request, entry(Action::RenewSession, now)).await.unwrap()
}
