use agentkeys_api::SigningOutcome;
use agentkeys_types::{EvmAddress, OmniAccount, SessionId, Timestamp};
use serde::{Serialize, Serializer};

use crate::record::{self, Event, LogUnavailable};

/// One line of the signing log.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    time: Timestamp,
    account: OmniAccount,
    address: EvmAddress,
    #[serde(serialize_with = "as_hex")]
    message: [u8; 32],
    session: SessionId,
    outcome: SigningOutcome,
}

impl TryFrom<record::Entry> for Line {
    type Error = LogUnavailable;

    /// # Errors
    ///
    /// When it is no signing: this log has no others.
    fn try_from(entry: record::Entry) -> Result<Self, LogUnavailable> {
        let record::Entry { time, account, session, event } = entry;
        let Event::Signing { address, message, outcome } = event else { return Err(LogUnavailable) };
        Ok(Self { time, account, address, message, session, outcome })
    }
}

fn as_hex<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn entry(number: u8) -> record::Entry {
        record::Entry {
            time: Timestamp::from_unix(1_800_000_000),
            account: OmniAccount::from_bytes([number; 32]),
            session: SessionId::from_bytes([number; 16]),
            event: Event::Signing {
                address: EvmAddress::from_bytes([number; 20]),
                message: [number; 32],
                outcome: SigningOutcome::Allowed,
            },
        }
    }

    pub(in super::super) fn line(number: u8) -> Line {
        entry(number).try_into().unwrap()
    }
}
