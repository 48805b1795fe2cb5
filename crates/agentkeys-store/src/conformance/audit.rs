//! [`AuditStore`](crate::AuditStore), without its limits.

use std::{collections::HashSet, sync::Arc};

use super::sample::{
    MINUTE, NOW, RIGHT, account, answer, at_once, begin, challenged, email, entry, recorded, session, wallet,
};
use crate::{Action, Entry, Head, IdentityLink, Outcome, Recorded, Store};

/// Every field comes back.
pub async fn entries_are_read_back_in_order_as_they_were_written(store: Arc<dyn Store>) {
    let full = entry(Action::MintOidcJwt, NOW);
    let bare = Entry {
        outcome: Outcome::NotAllowed,
        account: None,
        session: None,
        subject: "bücher \0 \u{1f511}".to_owned(),
        source: None,
        ..entry(Action::SignIn, NOW.before(MINUTE))
    };
    let far = Entry { source: Some("2001:db8::7".parse().unwrap()), ..full.clone() };

    for entry in [&full, &bare, &far] {
        assert_eq!(store.append(entry.clone(), vec![]).await.unwrap(), Recorded::Recorded);
    }

    let entries = recorded(&store).await;
    assert_eq!(entries.len(), 3);
    for ((sequence, recorded), written) in (1..).zip(&entries).zip([full, bare, far]) {
        assert_eq!(recorded.sequence, sequence);
        assert_eq!(recorded.at, written.at);
        assert_eq!(recorded.action, written.action.as_str());
        assert_eq!(recorded.outcome, written.outcome.as_str());
        assert_eq!(recorded.account, written.account);
        assert_eq!(recorded.session, written.session);
        assert_eq!(recorded.subject, written.subject);
        assert_eq!(recorded.source, written.source);
    }
}

/// A page begins after the entry that is named, and is no longer than was asked for.
pub async fn entries_are_read_in_pages(store: Arc<dyn Store>) {
    for _ in 0..5 {
        store.append(entry(Action::MintOidcJwt, NOW), vec![]).await.unwrap();
    }

    let page = async |after, most| -> Vec<u64> {
        store.entries_after(after, most).await.unwrap().iter().map(|entry| entry.sequence).collect()
    };
    assert_eq!(page(0, 2).await, [1, 2]);
    assert_eq!(page(2, 2).await, [3, 4]);
    assert_eq!(page(4, 2).await, [5]);
    assert!(page(5, 2).await.is_empty());
    assert!(page(u64::MAX, 2).await.is_empty());
}

/// Nothing was done yet.
pub async fn an_empty_record_has_no_entries(store: Arc<dyn Store>) {
    assert!(recorded(&store).await.is_empty());
}

/// As soon as it is recorded, of whatever kind.
pub async fn the_head_is_the_last_entry(store: Arc<dyn Store>) {
    assert_eq!(store.head().await.unwrap(), Head::default());

    for number in 1..=3 {
        begin(&store, number).await;
        answer(&store, number, RIGHT, NOW).await;
        store.append(entry(Action::MintOidcJwt, NOW), vec![]).await.unwrap();

        let last = recorded(&store).await.pop().unwrap();
        assert_eq!(store.head().await.unwrap(), Head { sequence: last.sequence, hash: last.hash });
    }
}

/// Sequences have no gaps, and each hash follows from the one before.
pub async fn concurrent_appends_leave_one_unbroken_chain(store: Arc<dyn Store>) {
    let appended = at_once(&store, |store, number| async move {
        for round in 0..4 {
            let subject = format!("{number}.{round}");
            store.append(Entry { subject, ..entry(Action::MintOidcJwt, NOW) }, vec![]).await.unwrap();
        }
    })
    .await;

    let entries = recorded(&store).await;
    assert_eq!(entries.len(), 4 * appended.len());
    let distinct: HashSet<_> = entries.iter().map(|entry| &entry.subject).collect();
    assert_eq!(distinct.len(), entries.len());
}

/// Sign-ins, links, proofs and revocations are chained with what is appended by itself.
pub async fn changes_of_every_kind_share_the_chain(store: Arc<dyn Store>) {
    begin(&store, 1).await;
    answer(&store, 1, RIGHT, NOW).await;
    let identity = email("ada.too");
    let link = IdentityLink { identity, account: account("ada"), email: None, linked_at: NOW };
    store.link_identity(link, entry(Action::LinkIdentity, NOW), None).await.unwrap();
    let challenge = challenged(&store, 1, "ada", wallet(1)).await;
    store.prove(challenge.request, challenge.session, entry(Action::ProveWallet, NOW)).await.unwrap();
    store.append(entry(Action::MintOidcJwt, NOW), vec![]).await.unwrap();
    store.unlink_wallet(account("ada"), wallet(1), entry(Action::UnlinkWallet, NOW)).await.unwrap();
    store.revoke_session(account("ada"), session(1), entry(Action::RevokeSession, NOW)).await.unwrap();

    let actions: Vec<_> = recorded(&store).await.into_iter().map(|entry| entry.action).collect();

    let expected = [
        Action::SignIn,
        Action::LinkIdentity,
        Action::LinkWallet,
        Action::ProveWallet,
        Action::MintOidcJwt,
        Action::UnlinkWallet,
        Action::RevokeSession,
    ];
    assert_eq!(actions, expected.map(Action::as_str));
}
