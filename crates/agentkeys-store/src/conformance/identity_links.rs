//! [`IdentityLinkStore`](crate::IdentityLinkStore).

use std::sync::Arc;

use agentkeys_types::Identity;

use super::{
    approval::{approved, device, redeem, subject},
    sample::{
        MANY, MINUTE, NOW, RIGHT, account, answer, at_once, begin, count, email, entry, link, open_session, outcomes,
        recorded, retire, session, unlink, wallet,
    },
};
use crate::{Action, CodeOutcome, IdentityLink, Linking, Redeemed, Store, Unlinking};

/// Of every type.
pub async fn an_identity_opens_the_account_that_it_is_linked_to(store: Arc<dyn Store>) {
    let oauth2 = Identity::oauth2("acme".parse().unwrap(), "Ada|1").unwrap();
    for identity in [email("ada"), Identity::evm(wallet(1)), oauth2] {
        assert_eq!(link(&store, identity.clone(), "ada", NOW).await, Linking::Linked);

        assert_eq!(store.find_account(&identity).await.unwrap(), Some(account("ada")));
    }
    assert_eq!(recorded(&store).await.len(), 3);
}

/// Nor does one that only looks like it.
pub async fn an_unknown_identity_opens_nothing(store: Arc<dyn Store>) {
    let subject = |subject| Identity::oauth2("acme".parse().unwrap(), subject).unwrap();
    link(&store, subject("ada"), "ada", NOW).await;

    assert_eq!(store.find_account(&subject("Ada")).await.unwrap(), None);
    assert_eq!(store.find_account(&subject("ada ")).await.unwrap(), None);
    assert_eq!(store.find_account(&email("ada")).await.unwrap(), None);
}

/// The link keeps its date, and nothing is recorded.
pub async fn linking_again_writes_nothing(store: Arc<dyn Store>) {
    link(&store, email("ada"), "ada", NOW).await;

    assert_eq!(link(&store, email("ada"), "ada", NOW.after(MINUTE)).await, Linking::Already);

    assert_eq!(store.identities(account("ada")).await.unwrap()[0].linked_at, NOW);
    assert_eq!(recorded(&store).await.len(), 1);
}

/// And the try is recorded.
pub async fn an_identity_of_another_account_stays_there(store: Arc<dyn Store>) {
    link(&store, email("ada"), "ada", NOW).await;

    assert_eq!(link(&store, email("ada"), "mallory", NOW).await, Linking::Taken);

    assert_eq!(store.find_account(&email("ada")).await.unwrap(), Some(account("ada")));
    assert!(store.identities(account("mallory")).await.unwrap().is_empty());
    let outcomes = outcomes(&store).await;
    assert_eq!(outcomes.last(), Some(&("link_identity".to_owned(), "taken".to_owned())));
    assert_eq!(outcomes.len(), 2);
}

/// And the others' tries are recorded as what they were.
pub async fn of_many_accounts_one_gets_the_identity(store: Arc<dyn Store>) {
    let linkings =
        at_once(
            &store,
            |store, number| async move { link(&store, email("ada"), &format!("account{number}"), NOW).await },
        )
        .await;

    assert_eq!(count(&linkings, &Linking::Linked), 1);
    assert_eq!(count(&linkings, &Linking::Taken), linkings.len() - 1);
    let owner = store.find_account(&email("ada")).await.unwrap().unwrap();
    assert_eq!(store.identities(owner).await.unwrap().len(), 1);
    let outcomes = outcomes(&store).await;
    assert_eq!(count(&outcomes, &("link_identity".to_owned(), "done".to_owned())), 1);
    assert_eq!(count(&outcomes, &("link_identity".to_owned(), "taken".to_owned())), linkings.len() - 1);
}

/// Those of one account only.
pub async fn identities_are_listed_oldest_first(store: Arc<dyn Store>) {
    for (name, minutes) in [("c", 1), ("a", 2), ("b", 0)] {
        link(&store, email(name), "ada", NOW.after(minutes * MINUTE)).await;
    }
    link(&store, email("d"), "mallory", NOW).await;

    assert_eq!(identities(&store, "ada").await, ["b", "c", "a"].map(email));
}

/// Also when it changes; it opens nothing, and where the provider has none any more, the last one stays.
pub async fn the_address_that_a_provider_has_is_shown_as_it_was_last(store: Arc<dyn Store>) {
    let address = |name: &str| Some(format!("{name}@acme.example").parse().unwrap());
    for email in [None, address("ada"), address("lovelace"), None] {
        let link = IdentityLink { identity: subject("ada"), account: account("ada"), email, linked_at: NOW };
        store.link_identity(link, entry(Action::LinkIdentity, NOW), None).await.unwrap();
    }

    let listed = store.identities(account("ada")).await.unwrap();

    assert_eq!(listed[0].email, address("lovelace"));
    assert_eq!(store.find_account(&Identity::email(address("lovelace").unwrap())).await.unwrap(), None);
}

/// The others stay.
pub async fn a_removed_identity_is_gone_and_recorded(store: Arc<dyn Store>) {
    link(&store, email("ada"), "ada", NOW).await;
    link(&store, subject("ada"), "ada", NOW).await;

    let unlinking = unlink(&store, subject("ada"), "ada", false).await;

    assert_eq!(unlinking, Unlinking::Unlinked { revoked: vec![] });
    assert_eq!(store.find_account(&subject("ada")).await.unwrap(), None);
    assert!(!store.is_retired(&subject("ada")).await.unwrap());
    assert_eq!(identities(&store, "ada").await, [email("ada")]);
    let outcomes = outcomes(&store).await;
    assert_eq!(outcomes.last(), Some(&("unlink_identity".to_owned(), "done".to_owned())));
    assert_eq!(outcomes.len(), 3);
}

/// Neither what is unknown, nor another account's, nor what was removed before; and nothing is recorded.
pub async fn what_an_account_does_not_have_is_not_removed(store: Arc<dyn Store>) {
    link(&store, email("ada"), "ada", NOW).await;
    retire(&store, "ada", email("ada"), subject("ada")).await;
    link(&store, subject("mallory"), "mallory", NOW).await;
    let recorded_before = recorded(&store).await.len();

    for identity in [email("nobody"), subject("mallory"), email("ada")] {
        for is_anchor in [false, true] {
            assert_eq!(unlink(&store, identity.clone(), "ada", is_anchor).await, Unlinking::NotFound);
        }
    }

    assert_eq!(store.find_account(&subject("mallory")).await.unwrap(), Some(account("mallory")));
    assert_eq!(recorded(&store).await.len(), recorded_before);
}

/// With its sessions; one that is retired does not count, and nothing is recorded.
pub async fn the_last_identity_stays(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    assert_eq!(unlink(&store, email("ada"), "ada", true).await, Unlinking::Last);
    retire(&store, "ada", email("ada"), subject("ada")).await;
    let recorded_before = recorded(&store).await.len();

    assert_eq!(unlink(&store, subject("ada"), "ada", false).await, Unlinking::Last);

    assert_eq!(store.find_account(&subject("ada")).await.unwrap(), Some(ada));
    assert_eq!(recorded(&store).await.len(), recorded_before);
}

/// However many try, and whichever it is.
pub async fn of_two_identities_removed_at_once_one_stays(store: Arc<dyn Store>) {
    let both = [email("ada"), subject("ada")];
    for identity in &both {
        link(&store, identity.clone(), "ada", NOW).await;
    }

    let unlinkings = at_once(&store, |store, number| {
        let identity = both[number % 2].clone();
        async move { unlink(&store, identity, "ada", number % 2 == 0).await }
    })
    .await;

    assert_eq!(count(&unlinkings, &Unlinking::Unlinked { revoked: vec![] }), 1);
    assert_eq!(count(&unlinkings, &Unlinking::Last), MANY / 2);
    assert_eq!(count(&unlinkings, &Unlinking::NotFound), MANY / 2 - 1);
    assert_eq!(identities(&store, "ada").await.len(), 1);
    assert_eq!(recorded(&store).await.len(), 3);
}

/// They are named, as long as they stood; the sessions that other identities opened stand.
pub async fn a_removed_identity_takes_the_sessions_along_that_it_opened(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    link(&store, email("ada.too"), "ada", NOW).await;
    for number in 2..=4 {
        open_session(&store, "ada.too", number, NOW).await;
    }
    open_session(&store, "mallory", 5, NOW).await;
    store.revoke_session(ada, session(4), entry(Action::RevokeSession, NOW.before(MINUTE))).await.unwrap();

    let Unlinking::Unlinked { mut revoked } = unlink(&store, email("ada.too"), "ada", false).await else {
        panic!("it is linked")
    };

    revoked.sort_by_key(|id| *id.as_bytes());
    assert_eq!(revoked, [session(2), session(3)]);
    for (number, revoked_at) in [(1, None), (2, Some(NOW)), (3, Some(NOW)), (4, Some(NOW.before(MINUTE))), (5, None)] {
        assert_eq!(store.find_session(session(number)).await.unwrap().unwrap().revoked_at, revoked_at);
    }
}

/// Whether that links it, or it makes one of its own.
pub async fn a_removed_identity_may_open_another_account(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;
    for identity in [email("first"), email("second")] {
        link(&store, identity.clone(), "ada", NOW).await;
        unlink(&store, identity, "ada", false).await;
    }

    assert_eq!(link(&store, email("first"), "mallory", NOW).await, Linking::Linked);
    assert_eq!(open_session(&store, "second", 2, NOW).await, account("second"));
}

/// Neither by a code nor by a grant; each try uses that up, and is recorded for its account.
pub async fn a_retired_anchor_signs_nobody_in(store: Arc<dyn Store>) {
    for (name, anchor) in [("ada", email("ada")), ("grace", subject("grace"))] {
        link(&store, anchor.clone(), name, NOW).await;
        retire(&store, name, anchor.clone(), email(&format!("{name}.too"))).await;
        assert_eq!(store.find_account(&anchor).await.unwrap(), None);
        assert!(store.is_retired(&anchor).await.unwrap());
    }
    begin(&store, 1).await;
    approved(&store, 2, device(2), "grace").await;

    assert_eq!(answer(&store, 1, RIGHT, NOW).await, CodeOutcome::Retired);
    assert_eq!(redeem(&store, 2, "grace", 2, NOW).await, Redeemed::Retired);

    assert_eq!(answer(&store, 1, RIGHT, NOW).await, CodeOutcome::Over);
    assert_eq!(redeem(&store, 2, "grace", 2, NOW).await, Redeemed::Over);
    for (number, name) in [(1, "ada"), (2, "grace")] {
        assert_eq!(store.find_session(session(number)).await.unwrap(), None);
        assert_eq!(identities(&store, name).await, [email(&format!("{name}.too"))]);
    }
    let entries = recorded(&store).await;
    assert_eq!(entries.len(), 8);
    for (entry, name) in entries[6..].iter().zip(["ada", "grace"]) {
        assert_eq!((entry.action.as_str(), entry.outcome.as_str()), ("sign_in", "retired"));
        assert_eq!((entry.account, entry.session), (Some(account(name)), None));
    }
}

/// From that time on, and it signs in again.
pub async fn a_retired_anchor_is_linked_again_by_its_own_account_only(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;
    retire(&store, "ada", email("ada"), subject("ada")).await;

    assert_eq!(link(&store, email("ada"), "mallory", NOW).await, Linking::Taken);
    assert!(store.is_retired(&email("ada")).await.unwrap());
    assert_eq!(link(&store, email("ada"), "ada", NOW.after(MINUTE)).await, Linking::Linked);

    assert!(!store.is_retired(&email("ada")).await.unwrap());
    let listed = store.identities(account("ada")).await.unwrap();
    assert_eq!((&listed[1].identity, listed[1].linked_at), (&email("ada"), NOW.after(MINUTE)));
    assert_eq!(open_session(&store, "ada", 2, NOW).await, account("ada"));
}

/// And it is recorded once.
pub async fn of_many_that_link_a_retired_anchor_again_one_does(store: Arc<dyn Store>) {
    link(&store, email("ada"), "ada", NOW).await;
    retire(&store, "ada", email("ada"), subject("ada")).await;

    let linkings = at_once(&store, |store, _| async move { link(&store, email("ada"), "ada", NOW).await }).await;

    assert_eq!(count(&linkings, &Linking::Linked), 1);
    assert_eq!(count(&linkings, &Linking::Already), linkings.len() - 1);
    assert_eq!(recorded(&store).await.len(), 4);
}

async fn identities(store: &Arc<dyn Store>, name: &str) -> Vec<Identity> {
    store.identities(account(name)).await.unwrap().into_iter().map(|link| link.identity).collect()
}
