use async_trait::async_trait;

use crate::StoreError;

/// Why a setting of the deployment could not be pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The deployment began with another value, on which its accounts depend.
    #[error("`{name}` was `{pinned}` when this deployment began, and accounts depend on it")]
    Changed {
        /// What was pinned.
        name: String,
        /// Its value.
        pinned: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Pins what must never change in the life of a deployment: its client id, identity types and issuers.
#[async_trait]
pub trait DeploymentStore: Send + Sync {
    /// Remembers `value` under `name` if nothing is remembered there yet, and fails if something else is.
    async fn pin(&self, name: &str, value: &str) -> Result<(), PinError>;

    /// Everything pinned under names that begin with `prefix`, in order of name.
    async fn pinned(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError>;

    /// Whether a write would reach the disk now. Leaves nothing behind.
    async fn check_writable(&self) -> Result<(), StoreError>;
}
