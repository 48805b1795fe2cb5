//! [`WalletLinkStore`](crate::WalletLinkStore).

use std::sync::Arc;

use agentkeys_types::Timestamp;

use super::sample::{MINUTE, NOW, account, at_once, challenged, entry, outcomes, wallet};
use crate::{Action, Store, WalletLink};

/// Every field comes back, and it is recorded.
pub async fn a_wallet_is_linked_pending(store: Arc<dyn Store>) {
    let linked = link(&store, "ada", 1, NOW).await;

    let pending = WalletLink { address: wallet(1), account: account("ada"), linked_at: NOW, proved_at: None };
    assert_eq!(linked, (pending, true));
    assert_eq!(store.find_wallet(account("ada"), wallet(1)).await.unwrap(), Some(pending));
    assert_eq!(store.find_wallet(account("ada"), wallet(2)).await.unwrap(), None);
    assert_eq!(outcomes(&store).await.len(), 1);
}

/// Neither its date nor its proof, and nothing is recorded.
pub async fn linking_again_changes_nothing(store: Arc<dyn Store>) {
    let challenge = challenged(&store, 1, "ada", wallet(1)).await;
    store.prove(challenge.request, challenge.session, entry(Action::ProveWallet, NOW)).await.unwrap();

    let (again, new) = link(&store, "ada", 1, NOW.after(MINUTE)).await;

    assert!(!new);
    assert_eq!((again.linked_at, again.proved_at), (NOW, Some(NOW)));
    assert_eq!(outcomes(&store).await.len(), 2);
}

/// Neither from linking nor from listing.
pub async fn a_pending_link_blocks_nobody(store: Arc<dyn Store>) {
    assert!(link(&store, "mallory", 1, NOW).await.1);
    assert!(link(&store, "ada", 1, NOW).await.1);

    assert_eq!(store.wallets(account("ada")).await.unwrap().len(), 1);
    assert_eq!(store.wallets(account("mallory")).await.unwrap().len(), 1);
}

/// Those of one account only.
pub async fn wallets_are_listed_oldest_first(store: Arc<dyn Store>) {
    for (number, minutes) in [(3, 1), (1, 2), (2, 0)] {
        link(&store, "ada", number, NOW.after(minutes * MINUTE)).await;
    }
    link(&store, "mallory", 4, NOW).await;

    let listed: Vec<_> = store.wallets(account("ada")).await.unwrap().into_iter().map(|link| link.address).collect();

    assert_eq!(listed, [2, 3, 1].map(wallet));
}

/// For its account only.
pub async fn an_unlinked_wallet_is_gone(store: Arc<dyn Store>) {
    link(&store, "ada", 1, NOW).await;
    link(&store, "mallory", 1, NOW).await;

    assert!(store.unlink_wallet(account("ada"), wallet(1), entry(Action::UnlinkWallet, NOW)).await.unwrap());

    assert_eq!(store.find_wallet(account("ada"), wallet(1)).await.unwrap(), None);
    assert!(store.find_wallet(account("mallory"), wallet(1)).await.unwrap().is_some());
    assert_eq!(outcomes(&store).await.len(), 3);
}

/// There was nothing to do.
pub async fn unlinking_what_is_not_linked_is_not_recorded(store: Arc<dyn Store>) {
    assert!(!store.unlink_wallet(account("ada"), wallet(1), entry(Action::UnlinkWallet, NOW)).await.unwrap());

    assert!(outcomes(&store).await.is_empty());
}

/// The others get the same link.
pub async fn of_many_links_at_once_one_is_new(store: Arc<dyn Store>) {
    let links = at_once(&store, |store, _| async move { link(&store, "ada", 1, NOW).await }).await;

    assert_eq!(links.iter().filter(|(_, new)| *new).count(), 1);
    assert!(links.iter().all(|(link, _)| *link == links[0].0));
    assert_eq!(outcomes(&store).await.len(), 1);
}

async fn link(store: &Arc<dyn Store>, name: &str, number: u8, now: Timestamp) -> (WalletLink, bool) {
    store.link_wallet(account(name), wallet(number), entry(Action::LinkWallet, now)).await.unwrap()
}
