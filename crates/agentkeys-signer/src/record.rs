use std::{fmt, sync::Arc};

use agentkeys_types::{EvmAddress, KeyThumbprint, OmniAccount, SessionId, Timestamp};
use async_trait::async_trait;

/// The entry is not on disk.
///
/// The caller must not go on to do what it meant to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing could not be recorded")]
pub struct LogUnavailable;

/// Something that the signer remembers before it happens. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was decided.
    pub time: Timestamp,
    /// Whose wallet or device it is about.
    pub account: OmniAccount,
    /// The session of the caller.
    pub session: SessionId,
    /// What was decided.
    pub event: Event,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message is signed.
    Signing {
        /// The wallet.
        address: EvmAddress,
        /// The Keccak-256 of the message's raw bytes.
        message: [u8; 32],
        /// Whether it is signed.
        outcome: Outcome,
    },
    /// A device key of the account changes its state.
    Device(DeviceChange),
}

/// Whether a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is.
    Allowed,
    /// It is not one that this signer signs.
    Refused,
}

/// A change in who may sign for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChange {
    /// The account's first device is pinned.
    FirstUse(KeyThumbprint),
    /// A device asks to be pinned, and is at that time unless stopped.
    Asked {
        /// The device.
        key: KeyThumbprint,
        /// When its wait is over.
        until: Timestamp,
    },
    /// A pinned device lets another one in.
    Approved {
        /// The new one.
        key: KeyThumbprint,
        /// The one that approves.
        by: KeyThumbprint,
    },
    /// A device is pinned because its person has just signed in, and no wait is left.
    Recovered(KeyThumbprint),
    /// The same, in the place of one that was pinned long ago, without another device's word.
    Replaced {
        /// The new one.
        key: KeyThumbprint,
        /// The one that goes.
        old: KeyThumbprint,
    },
    /// A pinned device takes another one, or itself, away, or stops one that waits.
    Removed {
        /// The one that goes.
        key: KeyThumbprint,
        /// The one that says so.
        by: KeyThumbprint,
    },
    /// A pinned device sets how long others have to wait.
    RecoveryWait {
        /// In seconds.
        seconds: u64,
        /// The one that says so.
        by: KeyThumbprint,
    },
}

/// What shows that an entry is in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// A signed checkpoint of a log that has the entry (C2SP tlog-checkpoint); none from a log without checkpoints.
    pub checkpoint: Option<Arc<str>>,
    /// The entry as it stands in the log, and its index there.
    pub leaf: Option<(u64, Arc<[u8]>)>,
}

/// Remembers what a signer does before it does it.
#[async_trait]
pub trait SigningRecord: Send + Sync + fmt::Debug {
    /// Records `entry`, and returns once it is on disk.
    async fn append(&self, entry: Entry) -> Result<Receipt, LogUnavailable>;

    /// Every change of a device that it holds, the oldest first; read once, when the signer opens.
    fn device_changes(&self) -> Vec<(OmniAccount, Timestamp, DeviceChange)> {
        Vec::new()
    }
}
