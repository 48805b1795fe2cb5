use agentkeys_types::{EvmAddress, OmniAccount, SessionId, Timestamp};
use serde::{Serialize, Serializer};

/// One line of the signing log. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it was decided.
    pub time: Timestamp,
    /// Whose wallet signs.
    pub account: OmniAccount,
    /// The wallet.
    pub address: EvmAddress,
    /// The Keccak-256 of the message's raw bytes.
    #[serde(serialize_with = "as_hex")]
    pub message: [u8; 32],
    /// The session of the caller.
    pub session: SessionId,
    /// What was decided.
    pub outcome: Outcome,
}

/// What was decided about a signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The message was to be signed.
    Allowed,
}

fn as_hex<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn entry(number: u8) -> Entry {
        Entry {
            time: Timestamp::from_unix(1_800_000_000),
            account: OmniAccount::from_bytes([number; 32]),
            address: EvmAddress::from_bytes([number; 20]),
            message: [number; 32],
            session: SessionId::from_bytes([number; 16]),
            outcome: Outcome::Allowed,
        }
    }
}
