use agentkeys_types::{EvmAddress, OmniAccount, Timestamp};
use async_trait::async_trait;

use crate::{Entry, StoreError};

/// A wallet linked to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletLink {
    /// The wallet.
    pub address: EvmAddress,
    /// The account.
    pub account: OmniAccount,
    /// Since when.
    pub linked_at: Timestamp,
    /// When it proved itself, if it did.
    pub proved_at: Option<Timestamp>,
}

/// Remembers which wallets belong to which account. A pending link blocks nobody; a proved one is unique.
///
/// Links are proved by [`ChallengeStore::prove`](crate::ChallengeStore::prove).
#[async_trait]
pub trait WalletLinkStore: Send + Sync {
    /// Links a wallet, pending, at `entry.at`; one that was linked already is left as it is, and not recorded.
    ///
    /// Returns the link, and whether it is new.
    async fn link_wallet(
        &self,
        account: OmniAccount,
        address: EvmAddress,
        entry: Entry,
    ) -> Result<(WalletLink, bool), StoreError>;

    /// The account's link to this wallet.
    async fn find_wallet(&self, account: OmniAccount, address: EvmAddress) -> Result<Option<WalletLink>, StoreError>;

    /// The account's wallets, oldest first.
    async fn wallets(&self, account: OmniAccount) -> Result<Vec<WalletLink>, StoreError>;

    /// Unlinks a wallet; `false`, without a record, when it was not linked.
    async fn unlink_wallet(&self, account: OmniAccount, address: EvmAddress, entry: Entry) -> Result<bool, StoreError>;
}
