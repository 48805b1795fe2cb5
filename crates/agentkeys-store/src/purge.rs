use std::time::Duration;

use agentkeys_types::Timestamp;
use async_trait::async_trait;

use crate::StoreError;

/// How long agents are listed after their expiry.
pub const AGENTS_KEPT: Duration = Duration::from_hours(30 * 24);

/// How long sign-ins, grants and challenges are remembered after their expiry, so that a late answer hears that they are
/// over.
pub const FLOWS_KEPT: Duration = Duration::from_hours(24);

/// How long sessions are remembered after their expiry.
pub const SESSIONS_KEPT: Duration = Duration::from_hours(7 * 24);

/// Forgets what has long been over. Accounts, links and the audit record are never forgotten.
#[async_trait]
pub trait PurgeStore: Send + Sync {
    /// Forgets limits whose window is over, mails that expired, sign-ins, grants and challenges that expired
    /// [`FLOWS_KEPT`] ago, sessions that expired [`SESSIONS_KEPT`] ago, and agents that expired [`AGENTS_KEPT`] ago.
    /// Returns how many rows that were.
    ///
    /// Works in small steps between which other writes go on.
    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError>;
}
