//! [`DeploymentStore`](crate::DeploymentStore).

use std::sync::Arc;

use super::sample::{at_once, recorded};
use crate::{PinError, Store};

/// The same value may be pinned again; another is refused, and told what was pinned.
pub async fn what_was_pinned_stays(store: Arc<dyn Store>) {
    store.pin("client_id", "agentkeys").await.unwrap();
    store.pin("client_id", "agentkeys").await.unwrap();

    let refused = store.pin("client_id", "other").await.unwrap_err();

    assert!(matches!(refused, PinError::Changed { name, pinned } if name == "client_id" && pinned == "agentkeys"));
    assert_eq!(store.pinned("").await.unwrap(), [("client_id".to_owned(), "agentkeys".to_owned())]);
}

/// The one that stays is the one that was told so.
pub async fn of_many_values_pinned_at_once_one_stays(store: Arc<dyn Store>) {
    let pins = at_once(&store, |store, number| async move {
        let value = number.to_string();
        store.pin("client_id", &value).await.is_ok().then_some(value)
    })
    .await;

    let winners: Vec<_> = pins.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(store.pinned("client_id").await.unwrap(), [("client_id".to_owned(), winners[0].clone())]);
}

/// The prefix is plain text, not a pattern, and case counts.
pub async fn pinned_names_are_listed_by_prefix(store: Arc<dyn Store>) {
    for name in ["issuer:b", "issuer:a", "issuerless", "Issuer:c", "client_id"] {
        store.pin(name, "value").await.unwrap();
    }

    let names = async |prefix: &str| -> Vec<String> {
        store.pinned(prefix).await.unwrap().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("issuer:").await, ["issuer:a", "issuer:b"]);
    assert!(names("issuer_").await.is_empty());
    assert!(names("%").await.is_empty());
    assert_eq!(names("").await.len(), 5);
}

/// However often.
pub async fn checking_leaves_nothing_behind(store: Arc<dyn Store>) {
    for _ in 0..3 {
        store.check_writable().await.unwrap();
    }

    assert!(store.pinned("").await.unwrap().is_empty());
    assert!(recorded(&store).await.is_empty());
}
