//! Any linked identity opens the same account.

use agentkeys_store::{Action, Entry, IdentityLink, IdentityLinkStore, Linking, Outcome, SqliteStore};
use agentkeys_testing::TestBroker;
use agentkeys_types::{Clock, Identity};

#[tokio::test]
async fn a_linked_identity_opens_the_account_that_it_was_linked_to() {
    let broker = TestBroker::start().await;
    let ada = broker.sign_in("ada").await;
    let now = broker.clock().now();
    let link = IdentityLink {
        identity: Identity::email("countess@example.com".parse().unwrap()),
        account: ada.account(),
        email: None,
        linked_at: now,
    };
    let entry = Entry {
        at: now,
        action: Action::LinkIdentity,
        outcome: Outcome::Done,
        account: Some(ada.account()),
        session: None,
        subject: "email:countess@example.com".to_owned(),
        source: None,
    };
    let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
    assert_eq!(store.link_identity(link, entry, None).await.unwrap(), Linking::Linked);

    let countess = broker.sign_in("countess").await;

    assert_eq!(countess.account(), ada.account());
    assert_eq!(countess.address(), ada.address());
}
