use agentkeys_types::{Identity, OmniAccount, Timestamp};
use async_trait::async_trait;

use crate::{Entry, StoreError};

/// Which account an identity opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityLink {
    /// The proved identity.
    pub identity: Identity,
    /// The account that it opens.
    pub account: OmniAccount,
    /// Since when.
    pub linked_at: Timestamp,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// The identity opened this account already; nothing was written.
    Already,
    /// The identity opens the account from now on.
    Linked,
    /// The identity opens another account, which is left as it was.
    Taken,
}

/// Remembers which account each identity opens. One identity opens one account, for good.
#[async_trait]
pub trait IdentityLinkStore: Send + Sync {
    /// The account that `identity` opens, if it ever signed in or was linked.
    async fn find_account(&self, identity: &Identity) -> Result<Option<OmniAccount>, StoreError>;

    /// The identities that open `account`, oldest first.
    async fn identities(&self, account: OmniAccount) -> Result<Vec<IdentityLink>, StoreError>;

    /// Links an identity to an account, under races to exactly one.
    async fn link_identity(&self, link: IdentityLink, entry: Entry) -> Result<Linking, StoreError>;
}
