//! [`IdentityLinkStore`](crate::IdentityLinkStore).

use std::sync::Arc;

use agentkeys_types::{Identity, Timestamp};

use super::sample::{MINUTE, NOW, account, at_once, count, email, entry, recorded, wallet};
use crate::{Action, IdentityLink, Linking, Store};

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

/// And nothing is recorded.
pub async fn an_identity_of_another_account_stays_there(store: Arc<dyn Store>) {
    link(&store, email("ada"), "ada", NOW).await;

    assert_eq!(link(&store, email("ada"), "mallory", NOW).await, Linking::Taken);

    assert_eq!(store.find_account(&email("ada")).await.unwrap(), Some(account("ada")));
    assert!(store.identities(account("mallory")).await.unwrap().is_empty());
    assert_eq!(recorded(&store).await.len(), 1);
}

/// And it is recorded once.
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
    assert_eq!(recorded(&store).await.len(), 1);
}

/// Those of one account only.
pub async fn identities_are_listed_oldest_first(store: Arc<dyn Store>) {
    for (name, minutes) in [("c", 1), ("a", 2), ("b", 0)] {
        link(&store, email(name), "ada", NOW.after(minutes * MINUTE)).await;
    }
    link(&store, email("d"), "mallory", NOW).await;

    let listed: Vec<_> =
        store.identities(account("ada")).await.unwrap().into_iter().map(|link| link.identity).collect();

    assert_eq!(listed, ["b", "c", "a"].map(email));
}

async fn link(store: &Arc<dyn Store>, identity: Identity, name: &str, now: Timestamp) -> Linking {
    let link = IdentityLink { identity, account: account(name), email: None, linked_at: now };
    store.link_identity(link, entry(Action::LinkIdentity, now), None).await.unwrap()
}
