use std::{fmt, sync::Arc};

use agentkeys_api::{DeviceChange, SigningOutcome};
use agentkeys_types::{EvmAddress, OmniAccount, SessionId, Timestamp};
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
        outcome: SigningOutcome,
    },
    /// A device key of the account changes its state.
    Device(DeviceChange),
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
