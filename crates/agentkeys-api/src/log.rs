use agentkeys_types::{EvmAddress, KeyThumbprint, OmniAccount, SessionId, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// An entry of the worker's signing log: the JSON that is a leaf of its tree. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LogEntry {
    /// A message is signed.
    Signing(SigningEntry),
    /// A device key of an account changes its state.
    Device(DeviceEntry),
    /// The counter goes up.
    Counter(CounterEntry),
    /// Shares of the master secret were written.
    Backup(BackupEntry),
}

/// A message is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningEntry {
    /// Its index in the log.
    pub seq: u64,
    /// When it was decided.
    pub time: Timestamp,
    /// Whose wallet it is.
    pub account: OmniAccount,
    /// The wallet.
    pub address: EvmAddress,
    /// The Keccak-256 of the message's raw bytes.
    #[serde(with = "hex_digits")]
    pub message: [u8; 32],
    /// The session of the caller.
    pub session: SessionId,
    /// Whether it is signed.
    pub outcome: SigningOutcome,
}

/// Whether a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningOutcome {
    /// It is.
    Allowed,
    /// It is not one that this signer signs.
    Refused,
}

/// A device key of an account changes its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceEntry {
    /// Its index in the log.
    pub seq: u64,
    /// When it was decided.
    pub time: Timestamp,
    /// Whose device it is.
    pub account: OmniAccount,
    /// The session of the caller.
    pub session: SessionId,
    /// What changes.
    pub device: DeviceChange,
}

/// A change in who may sign for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum DeviceChange {
    /// The account's first device is pinned.
    FirstUse {
        /// The device.
        key: KeyThumbprint,
    },
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
    Recovered {
        /// The device.
        key: KeyThumbprint,
    },
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
        /// How long.
        seconds: u64,
        /// The one that says so.
        by: KeyThumbprint,
    },
}

/// The counter that only goes up, whatever becomes of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CounterEntry {
    /// Its index in the log.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// What it goes up to, right after this is on disk.
    pub counter: u64,
}

/// Shares of the master secret were written: once, at the first boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupEntry {
    /// Its index in the log.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// Who has the shares.
    pub backup: BackupShares,
}

/// Who has shares of the master secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupShares {
    /// How many of them it takes.
    pub threshold: u8,
    /// The SHA-256 of each one's public key, 64 hex digits.
    pub recipients: Vec<String>,
}

impl LogEntry {
    /// Reads a leaf. There is one spelling of each: whatever says the same in other bytes is none.
    pub fn read(leaf: &[u8]) -> Option<Self> {
        fn of<E: DeserializeOwned>(leaf: &[u8]) -> Option<E> {
            serde_json::from_slice(leaf).ok()
        }
        let entry = of(leaf)
            .map(Self::Signing)
            .or_else(|| of(leaf).map(Self::Device))
            .or_else(|| of(leaf).map(Self::Counter))
            .or_else(|| of(leaf).map(Self::Backup))?;
        (entry.to_leaf() == leaf).then_some(entry)
    }

    /// As it stands in the log.
    pub fn to_leaf(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Its index in the log.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Signing(entry) => entry.seq,
            Self::Device(entry) => entry.seq,
            Self::Counter(entry) => entry.seq,
            Self::Backup(entry) => entry.seq,
        }
    }

    /// When it was decided.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Signing(entry) => entry.time,
            Self::Device(entry) => entry.time,
            Self::Counter(entry) => entry.time,
            Self::Backup(entry) => entry.time,
        }
    }
}

mod hex_digits {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let mut bytes = [0; 32];
        let digits = std::borrow::Cow::<str>::deserialize(deserializer)?;
        hex::decode_to_slice(digits.as_bytes(), &mut bytes).map_err(|_| D::Error::custom("not 64 hex digits"))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNING: &str = r#"{"seq":7,"time":"2027-01-15T08:00:00Z","account":"0101010101010101010101010101010101010101010101010101010101010101","address":"0x0202020202020202020202020202020202020202","message":"0303030303030303030303030303030303030303030303030303030303030303","session":"04040404040404040404040404040404","outcome":"allowed"}"#;
    const DEVICE: &str = r#"{"seq":8,"time":"2027-01-15T08:00:00Z","account":"0101010101010101010101010101010101010101010101010101010101010101","session":"04040404040404040404040404040404","device":{"change":"approved","key":"BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU","by":"BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY"}}"#;
    const BACKUP: &str = r#"{"seq":1,"time":"2027-01-15T08:00:00Z","backup":{"threshold":2,"recipients":["0101010101010101010101010101010101010101010101010101010101010101"]}}"#;
    const COUNTER: &str = r#"{"seq":9,"time":"2027-01-15T08:00:00Z","counter":42}"#;

    #[test]
    fn each_kind_of_entry_reads_back() {
        let signing = LogEntry::read(SIGNING.as_bytes()).unwrap();
        let device = LogEntry::read(DEVICE.as_bytes()).unwrap();
        let counter = LogEntry::read(COUNTER.as_bytes()).unwrap();
        let backup = LogEntry::read(BACKUP.as_bytes()).unwrap();

        assert!(matches!(&signing, LogEntry::Signing(entry) if entry.message == [3; 32]));
        assert!(matches!(&device, LogEntry::Device(entry) if matches!(entry.device, DeviceChange::Approved { .. })));
        assert!(matches!(&counter, LogEntry::Counter(entry) if entry.counter == 42));
        assert!(matches!(&backup, LogEntry::Backup(entry) if entry.backup.threshold == 2));
        assert_eq!([backup.seq(), signing.seq(), device.seq(), counter.seq()], [1, 7, 8, 9]);
        assert_eq!(counter.time(), Timestamp::from_unix(1_800_000_000));
    }

    #[test]
    fn another_spelling_of_an_entry_is_no_entry() {
        for (from, to) in [
            ("\"seq\":9", "\"seq\": 9"),
            ("\"seq\":9", "\"seq\":9.0"),
            ("}", ",\"more\":1}"),
            ("T08", "t08"),
            ("{", " {"),
            ("\"counter\":42", "\"counter\":42,\"counter\":42"),
        ] {
            assert_eq!(LogEntry::read(COUNTER.replacen(from, to, 1).as_bytes()), None, "{to}");
        }
        assert_eq!(LogEntry::read(SIGNING.replacen("0101", "0xAA", 1).as_bytes()), None);
        assert_eq!(LogEntry::read(SIGNING.replacen("0303", "AAAA", 1).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn a_changed_byte_never_gives_the_same_entry(position in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
            for text in [BACKUP, SIGNING, DEVICE, COUNTER] {
                let mut bytes = text.as_bytes().to_vec();
                let length = bytes.len();
                bytes[position.index(length)] ^= flip;

                prop_assert_ne!(LogEntry::read(&bytes), LogEntry::read(text.as_bytes()));
            }
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = LogEntry::read(&bytes);
        }
    }
}
