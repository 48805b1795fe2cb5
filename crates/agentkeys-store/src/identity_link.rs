use agentkeys_types::{EmailAddress, Identity, OmniAccount, SessionId, Timestamp};
use async_trait::async_trait;

use crate::{Entry, Letter, StoreError};

/// Which account an identity opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityLink {
    /// The proved identity.
    pub identity: Identity,
    /// The verified address that its provider has for the person, to be shown; it opens nothing.
    pub email: Option<EmailAddress>,
    /// The account that it opens.
    pub account: OmniAccount,
    /// Since when.
    pub linked_at: Timestamp,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// The identity opened this account already; nothing was changed but its address to be shown.
    Already,
    /// The identity opens the account from now on.
    Linked,
    /// The identity opens another account, which is left as it was.
    Taken,
}

/// What became of an unlinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlinking {
    /// It is the last identity of the account: nothing was changed.
    Last,
    /// The account has no such identity.
    NotFound,
    /// The identity no longer opens the account.
    Unlinked {
        /// The sessions that it had opened and that stood: they are revoked.
        revoked: Vec<SessionId>,
    },
}

/// Remembers which account each identity opens: one at a time, under races too.
///
/// An anchor that was unlinked is retired: nobody signs in with it, and only its own account may link it again. Its
/// next holder would otherwise come out at the same account.
#[async_trait]
pub trait IdentityLinkStore: Send + Sync {
    /// The account that `identity` opens, if it ever signed in or was linked, and is not retired.
    async fn find_account(&self, identity: &Identity) -> Result<Option<OmniAccount>, StoreError>;

    /// Whether `identity` is retired.
    async fn is_retired(&self, identity: &Identity) -> Result<bool, StoreError>;

    /// The identities that open `account`, oldest first.
    async fn identities(&self, account: OmniAccount) -> Result<Vec<IdentityLink>, StoreError>;

    /// Links an identity to an account, under races to exactly one, and queues `notice` to every e-mail address of the
    /// account.
    ///
    /// [`Linking::Taken`] is recorded as [`Outcome::Taken`](crate::Outcome::Taken), [`Linking::Already`] not at all.
    async fn link_identity(
        &self,
        link: IdentityLink,
        entry: Entry,
        notice: Option<Letter>,
    ) -> Result<Linking, StoreError>;

    /// Takes an identity away from its account, retires it if it is the anchor, revokes the sessions that it opened, and
    /// queues `notice` to every e-mail address of the account, the one that goes among them.
    async fn unlink_identity(
        &self,
        account: OmniAccount,
        identity: Identity,
        is_anchor: bool,
        entry: Entry,
        notice: Letter,
    ) -> Result<Unlinking, StoreError>;
}
