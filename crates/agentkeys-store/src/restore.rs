use async_trait::async_trait;

use crate::{Entry, StoreError};

/// Ends what an older copy of the store brings back to life.
#[async_trait]
pub trait RestoreStore: Send + Sync {
    /// Revokes every unrevoked session of every account from `entry.at` on, ends every sign-in, grant and challenge
    /// that can still be answered or redeemed, lets every agent expire, forgets every mail that waits, and records that
    /// in any case. Returns how many sessions that were.
    ///
    /// Agents expire because one that was revoked since is back, and cannot be told from the others.
    async fn end_everything(&self, entry: Entry) -> Result<u64, StoreError>;
}
