//! [`SessionStore`](crate::SessionStore).

use std::sync::Arc;

use super::sample::{DAY, MINUTE, NOW, account, at_once, count, entry, open_session, outcomes, session};
use crate::{Action, Store};

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
