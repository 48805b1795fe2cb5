use agentkeys_api::{BackupEntry, BackupShares, CounterEntry, DeviceChange, DeviceEntry, LogEntry, SigningEntry};
use agentkeys_signer::{Entry, Event, LogUnavailable};
use agentkeys_types::{OmniAccount, Timestamp};

/// The leaf of `entry` at `seq`.
pub(super) fn of_entry(seq: u64, entry: Entry) -> Result<Vec<u8>, LogUnavailable> {
    let Entry { time, account, session, event } = entry;
    let entry = match event {
        Event::Signing { address, message, outcome } => {
            LogEntry::Signing(SigningEntry { seq, time, account, address, message, session, outcome })
        }
        Event::Device(change) => LogEntry::Device(DeviceEntry { seq, time, account, session, device: change }),
        // A kind that this log does not know is not recorded, and so not done.
        _ => return Err(LogUnavailable),
    };
    Ok(entry.to_leaf())
}

/// The leaf at `seq` that says what the counter will be.
pub(super) fn of_counter(seq: u64, time: Timestamp, counter: u64) -> Vec<u8> {
    LogEntry::Counter(CounterEntry { seq, time, counter }).to_leaf()
}

/// The leaf at `seq` that says who has shares of the master secret.
pub(super) fn of_backup(seq: u64, time: Timestamp, backup: BackupShares) -> Vec<u8> {
    LogEntry::Backup(BackupEntry { seq, time, backup }).to_leaf()
}

/// What a log turned out to hold, apart from signings.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Every change of a device, the oldest first.
    pub(super) devices: Vec<(OmniAccount, Timestamp, DeviceChange)>,
    /// The last value of the counter.
    pub(super) counter: Option<u64>,
}

impl Found {
    /// Takes note of a leaf. That it is the log's own is shown by the signed root of all of them.
    pub(super) fn note(&mut self, leaf: &[u8]) -> Result<(), String> {
        // No string in a leaf has a quote in it, so these are fields.
        let has = |field: &[u8]| leaf.windows(field.len()).any(|bytes| bytes == field);
        if !has(br#""device":{"#) && !has(br#""counter":"#) {
            return Ok(());
        }
        match LogEntry::read(leaf).ok_or("it is no entry")? {
            LogEntry::Device(entry) => self.devices.push((entry.account, entry.time, entry.device)),
            LogEntry::Counter(entry) => self.counter = Some(entry.counter),
            LogEntry::Backup(_) | LogEntry::Signing(_) => {}
        }
        Ok(())
    }
}
