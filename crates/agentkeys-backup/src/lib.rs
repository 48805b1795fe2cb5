//! Shares of a worker's master secret: k of n restore it elsewhere.
//!
//! At first boot a worker [`split`]s it, and each recipient gets a [`SealedShare`](agentkeys_api::SealedShare) that only
//! its [`RecipientKey`] opens. To restore, each of k recipients opens its own and seals it anew for the restoring worker,
//! which a [`Collection`] puts together. It opens no device and no connection.

mod collection;
mod key;
mod share;

pub use collection::{Collection, Progress};
pub use key::RecipientKey;
pub use share::{ShareError, fingerprint, read_share, split, write_shares};

#[cfg(test)]
mod tests;
