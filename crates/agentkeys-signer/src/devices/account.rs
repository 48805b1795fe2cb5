use std::{collections::HashMap, time::Duration};

use agentkeys_api::{DeviceChange, DeviceState, DeviceView, PinnedBy};
use agentkeys_types::{KeyThumbprint, Timestamp};

use super::DeviceError;
use crate::pace::{Lately, TooOften};

/// How many keys may be pinned.
const MOST_PINNED: usize = 32;
/// Up to how many recovery goes: the rest is for approval, and out of reach of whoever forges sessions.
const MOST_BY_RECOVERY: usize = 24;
/// After how long a key may be replaced by which a person came back: a session lasts 30 days unless it is renewed.
const RECOVERY_GROWS_OLD: Duration = Duration::from_hours(30 * 24);
/// After how long the first key may be: no session lasts longer, however often it is renewed.
const FIRST_USE_GROWS_OLD: Duration = Duration::from_hours(180 * 24);
/// How many changes there may be in an hour, apart from removals, of which there are never more than keys.
const MOST_CHANGES: usize = 20;
/// Up to how many of them devices come in by themselves: the rest is for pinned ones, and out of reach as above.
const MOST_COMING_IN: usize = 10;
const HOUR: Duration = Duration::from_hours(1);
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
    /// When a device was last taken away or stopped by another one.
    removed_at: Option<Timestamp>,
    revision: u64,
    /// The last changes but removals, and those by which a device came in by itself.
    changed: Lately,
    came_in: Lately,
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
            return Ok(Some(DeviceChange::FirstUse { key }));
        }
        let waiting = self.waiting.get(&key).filter(|waiting| !waiting.is_lapsed(now));
        let (is_recent, until) = (self.is_recent(signed_in_at, now), self.recovered_at(now));
        if waiting.is_some_and(|waiting| waiting.until <= now) || (is_recent && until <= now) {
            if self.pinned.len() < MOST_BY_RECOVERY {
                return Ok(Some(DeviceChange::Recovered { key }));
            }
            let old = self.oldest(now).ok_or(DeviceError::LimitReached)?;
            return Ok(Some(DeviceChange::Replaced { key, old }));
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

    /// Whether the account's devices may change once more.
    ///
    /// Removals always may: whoever has one of the keys must not keep the others from taking it away.
    pub(super) fn check_pace(&self, change: &DeviceChange, now: Timestamp) -> Result<(), DeviceError> {
        if matches!(change, DeviceChange::Removed { .. }) {
            return Ok(());
        }
        let too_often = |TooOften(left)| DeviceError::TooOften { left };
        if comes_in(change) {
            self.came_in.check(now, MOST_COMING_IN, HOUR).map_err(too_often)?;
        }
        self.changed.check(now, MOST_CHANGES, HOUR).map_err(too_often)
    }

    /// Has a recorded change count, whatever it is: the record says what was decided.
    pub(super) fn apply(&mut self, time: Timestamp, change: DeviceChange) {
        self.revision += 1;
        if !matches!(change, DeviceChange::Removed { .. }) {
            self.changed.note(time, MOST_CHANGES);
        }
        if comes_in(&change) {
            self.came_in.note(time, MOST_COMING_IN);
        }
        match change {
            DeviceChange::FirstUse { key } => {
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
            DeviceChange::Recovered { key } => self.pin(key, time, PinnedBy::Recovery),
            DeviceChange::Replaced { key, old } => {
                self.pinned.remove(&old);
                self.pin(key, time, PinnedBy::Recovery);
            }
            DeviceChange::Removed { key, by } => {
                self.pinned.remove(&key);
                self.waiting.remove(&key);
                // Who goes by itself was not taken away, and may come back.
                if key != by {
                    self.removed_at = self.removed_at.max(Some(time));
                }
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

    /// The key that gives way to a person who has come back, if any is that old.
    fn oldest(&self, now: Timestamp) -> Option<KeyThumbprint> {
        let is_old = |pinned: &Pinned| match pinned.by {
            PinnedBy::Recovery => now > pinned.since.after(RECOVERY_GROWS_OLD),
            PinnedBy::FirstUse => now > pinned.since.after(FIRST_USE_GROWS_OLD),
            PinnedBy::Approval => false,
        };
        let old = self.pinned.iter().filter(|(_, pinned)| is_old(pinned));
        old.min_by_key(|(key, pinned)| (pinned.since, **key)).map(|(key, _)| *key)
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

/// Whether a device comes in by it without another one's word.
fn comes_in(change: &DeviceChange) -> bool {
    match change {
        DeviceChange::FirstUse { .. }
        | DeviceChange::Asked { .. }
        | DeviceChange::Recovered { .. }
        | DeviceChange::Replaced { .. } => true,
        DeviceChange::Approved { .. } | DeviceChange::Removed { .. } | DeviceChange::RecoveryWait { .. } => false,
    }
}
