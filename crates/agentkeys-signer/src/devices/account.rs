use std::{collections::HashMap, time::Duration};

use agentkeys_api::{DeviceState, DeviceView, PinnedBy};
use agentkeys_types::{KeyThumbprint, Timestamp};

use super::DeviceError;
use crate::DeviceChange;

/// How many keys may be pinned.
const MOST_PINNED: usize = 32;
/// Up to how many recovery goes: the rest is for approval, and out of reach of whoever forges sessions.
const MOST_BY_RECOVERY: usize = 24;
/// How many keys may wait at once.
const MOST_WAITING: usize = 8;
/// For how long a sign-in shows that a person is there.
const RECENT: Duration = Duration::from_mins(10);
/// How far the broker's clock may be ahead.
const LEEWAY: Duration = Duration::from_mins(1);
/// For how long after its time a device that waited may come.
const LAPSE: Duration = Duration::from_hours(7 * 24);

/// The device keys of one account: nothing but the sum of its changes.
#[derive(Clone, Debug, Default)]
pub(super) struct AccountDevices {
    pinned: HashMap<KeyThumbprint, Pinned>,
    waiting: HashMap<KeyThumbprint, Waiting>,
    /// Whether there was a first use: there is no second one, also not when all keys are gone.
    is_claimed: bool,
    wait: Duration,
    /// Nobody is recovered before then: a wait that was made shorter lasts as long as it would have.
    not_before: Option<Timestamp>,
    removed_at: Option<Timestamp>,
    revision: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pinned {
    since: Timestamp,
    by: PinnedBy,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    since: Timestamp,
    until: Timestamp,
}

impl AccountDevices {
    pub(super) fn is_pinned(&self, key: &KeyThumbprint) -> bool {
        self.pinned.contains_key(key)
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The change by which a device comes in, or `None` if it is in already.
    pub(super) fn admit(
        &self,
        key: KeyThumbprint,
        signed_in_at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<DeviceChange>, DeviceError> {
        if self.is_pinned(&key) {
            return Ok(None);
        }
        if !self.is_claimed {
            return Ok(Some(DeviceChange::FirstUse(key)));
        }
        let waiting = self.waiting.get(&key).filter(|waiting| !waiting.is_lapsed(now));
        let (is_recent, until) = (self.is_recent(signed_in_at, now), self.recovered_at(now));
        if waiting.is_some_and(|waiting| waiting.until <= now) || (is_recent && until <= now) {
            let has_place = self.pinned.len() < MOST_BY_RECOVERY;
            return if has_place { Ok(Some(DeviceChange::Recovered(key))) } else { Err(DeviceError::LimitReached) };
        }
        if let Some(waiting) = waiting {
            return Err(DeviceError::Waiting { left: waiting.until.since(now) });
        }
        if !is_recent {
            return Err(DeviceError::NotPinned);
        }
        if self.waiting.values().filter(|waiting| !waiting.is_lapsed(now)).count() >= MOST_WAITING {
            return Err(DeviceError::LimitReached);
        }
        Ok(Some(DeviceChange::Asked { key, until }))
    }

    pub(super) fn approve(&self, key: KeyThumbprint, by: KeyThumbprint) -> Result<Option<DeviceChange>, DeviceError> {
        self.check_pinned(&by)?;
        if self.is_pinned(&key) {
            return Ok(None);
        }
        if self.pinned.len() >= MOST_PINNED {
            return Err(DeviceError::LimitReached);
        }
        Ok(Some(DeviceChange::Approved { key, by }))
    }

    pub(super) fn remove(
        &self,
        key: KeyThumbprint,
        by: KeyThumbprint,
        now: Timestamp,
    ) -> Result<Option<DeviceChange>, DeviceError> {
        self.check_pinned(&by)?;
        if self.is_pinned(&key) {
            return if self.pinned.len() > 1 {
                Ok(Some(DeviceChange::Removed { key, by }))
            } else {
                Err(DeviceError::Last)
            };
        }
        let waits = self.waiting.get(&key).is_some_and(|waiting| !waiting.is_lapsed(now));
        if waits { Ok(Some(DeviceChange::Removed { key, by })) } else { Err(DeviceError::Unknown) }
    }

    pub(super) fn set_wait(&self, seconds: u64, by: KeyThumbprint) -> Result<Option<DeviceChange>, DeviceError> {
        self.check_pinned(&by)?;
        let is_new = self.wait != Duration::from_secs(seconds);
        Ok(is_new.then_some(DeviceChange::RecoveryWait { seconds, by }))
    }

    /// Has a recorded change count, whatever it is: the record says what was decided.
    pub(super) fn apply(&mut self, time: Timestamp, change: DeviceChange) {
        self.revision += 1;
        match change {
            DeviceChange::FirstUse(key) => {
                // A second one means that the first was never answered.
                self.pinned.clear();
                self.is_claimed = true;
                self.pin(key, time, PinnedBy::FirstUse);
            }
            DeviceChange::Asked { key, until } => {
                self.waiting.retain(|_, waiting| !waiting.is_lapsed(time));
                self.waiting.insert(key, Waiting { since: time, until });
            }
            DeviceChange::Approved { key, .. } => self.pin(key, time, PinnedBy::Approval),
            DeviceChange::Recovered(key) => self.pin(key, time, PinnedBy::Recovery),
            DeviceChange::Removed { key, .. } => {
                self.pinned.remove(&key);
                self.waiting.remove(&key);
                self.removed_at = self.removed_at.max(Some(time));
            }
            DeviceChange::RecoveryWait { seconds, .. } => {
                let wait = Duration::from_secs(seconds);
                if wait < self.wait {
                    self.not_before = Some(self.recovered_at(time));
                }
                self.wait = wait;
            }
        }
    }

    /// What a person is shown.
    pub(super) fn view(&self, own: Option<KeyThumbprint>, now: Timestamp) -> agentkeys_api::Devices {
        let pinned = self.pinned.iter().map(|(key, Pinned { since, by })| DeviceView {
            key: *key,
            state: DeviceState::Pinned,
            since: *since,
            pinned_by: Some(*by),
            pinned_at: None,
            is_this: own == Some(*key),
        });
        let waiting = self.waiting.iter().filter(|(_, waiting)| !waiting.is_lapsed(now));
        let waiting = waiting.map(|(key, Waiting { since, until })| DeviceView {
            key: *key,
            state: DeviceState::Waiting,
            since: *since,
            pinned_by: None,
            pinned_at: Some(*until),
            is_this: own == Some(*key),
        });
        let mut devices: Vec<DeviceView> = pinned.chain(waiting).collect();
        devices.sort_by_key(|device| (device.state == DeviceState::Waiting, device.since, device.key));
        let recovery_wait_seconds = self.recovered_at(now).since(now).as_secs();
        agentkeys_api::Devices { devices, recovery_wait_seconds, revision: self.revision }
    }

    fn pin(&mut self, key: KeyThumbprint, since: Timestamp, by: PinnedBy) {
        self.waiting.remove(&key);
        self.pinned.insert(key, Pinned { since, by });
    }

    fn check_pinned(&self, key: &KeyThumbprint) -> Result<(), DeviceError> {
        if self.is_pinned(key) { Ok(()) } else { Err(DeviceError::NotPinned) }
    }

    /// When a device is recovered that asks now.
    fn recovered_at(&self, now: Timestamp) -> Timestamp {
        self.not_before.map_or(now, |not_before| not_before.max(now)).max(now.after(self.wait))
    }

    /// Whether a sign-in shows that the account's person is there, and wants what was not taken away since.
    fn is_recent(&self, signed_in_at: Timestamp, now: Timestamp) -> bool {
        now < signed_in_at.after(RECENT)
            && signed_in_at <= now.after(LEEWAY)
            && self.removed_at.is_none_or(|removed_at| signed_in_at > removed_at)
    }
}

impl Waiting {
    fn is_lapsed(&self, now: Timestamp) -> bool {
        now >= self.until.after(LAPSE)
    }
}
