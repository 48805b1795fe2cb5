//! Which device keys may have something signed for an account: ADR 15.

mod account;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use agentkeys_api::DeviceChange;
use agentkeys_types::{Clock, KeyThumbprint, OmniAccount, Timestamp};
use tokio::sync::Mutex;

use self::account::AccountDevices;
use crate::{Entry, Event, LogUnavailable, SessionCaller, SigningRecord};

/// Why a device may not have something signed, or not change who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The session is bound to no device key.
    #[error("this signer signs only for sessions that are bound to a device key")]
    KeyRequired,
    /// The account would be left without a device.
    #[error("the last device of an account cannot go")]
    Last,
    /// No more keys are pinned, or wait.
    #[error("the account has as many device keys as it may: remove one that is no longer used")]
    LimitReached,
    /// The change could not be recorded, so it does not count.
    #[error(transparent)]
    Log(#[from] LogUnavailable),
    /// The key is neither pinned nor just signed in.
    #[error("this device is not pinned for the account: approve its key at another device, or sign in anew")]
    NotPinned,
    /// The account's devices have changed too often.
    #[error("the devices of the account have changed too often in the last hour")]
    TooOften {
        /// How long it is until they may change again.
        left: Duration,
    },
    /// The account has no such key.
    #[error("the account has no such device")]
    Unknown,
    /// The key is not pinned yet.
    #[error("this device waits: for approval by another one, or for the account's waiting time to pass")]
    Waiting {
        /// How long that is, if nobody approves or stops it.
        left: Duration,
    },
}

/// Which device keys may sign, for every account.
///
/// All that it knows comes from the record, and a change is in the record before it counts.
#[derive(Debug)]
pub(crate) struct Devices {
    record: Arc<dyn SigningRecord>,
    clock: Arc<dyn Clock>,
    accounts: RwLock<HashMap<OmniAccount, Arc<Account>>>,
}

#[derive(Debug, Default)]
struct Account {
    devices: RwLock<AccountDevices>,
    /// Held while a change is decided and recorded, so that each is decided on what the one before left.
    changing: Mutex<()>,
}

impl Devices {
    /// As the record's changes left them.
    pub(crate) fn open(record: Arc<dyn SigningRecord>, clock: Arc<dyn Clock>) -> Self {
        let mut accounts: HashMap<OmniAccount, AccountDevices> = HashMap::new();
        for (account, time, change) in record.device_changes() {
            accounts.entry(account).or_default().apply(time, change);
        }
        let shared = |devices| Arc::new(Account { devices: RwLock::new(devices), changing: Mutex::default() });
        let accounts = accounts.into_iter().map(|(account, devices)| (account, shared(devices))).collect();
        Self { record, clock, accounts: RwLock::new(accounts) }
    }

    /// Lets the caller's device in if it is pinned, or is to be pinned now.
    pub(crate) async fn admit(&self, caller: &SessionCaller) -> Result<(), DeviceError> {
        let key = caller.device_key().ok_or(DeviceError::KeyRequired)?;
        if self.look(caller, |devices, _| devices.is_pinned(&key)) {
            return Ok(());
        }
        let signed_in_at = caller.signed_in_at();
        let change = self.change(caller, move |devices, now| devices.admit(key, signed_in_at, now)).await?;
        match change {
            Some((DeviceChange::Asked { until, .. }, now)) => Err(DeviceError::Waiting { left: until.since(now) }),
            _ => Ok(()),
        }
    }

    /// Pins `key` because the caller's device says so.
    pub(crate) async fn approve(&self, caller: &SessionCaller, key: KeyThumbprint) -> Result<(), DeviceError> {
        let by = caller.device_key().ok_or(DeviceError::KeyRequired)?;
        self.change(caller, move |devices, _| devices.approve(key, by)).await.map(drop)
    }

    /// Takes `key` away, or stops its waiting, because the caller's device says so.
    pub(crate) async fn remove(&self, caller: &SessionCaller, key: KeyThumbprint) -> Result<(), DeviceError> {
        let by = caller.device_key().ok_or(DeviceError::KeyRequired)?;
        self.change(caller, move |devices, now| devices.remove(key, by, now)).await.map(drop)
    }

    /// Sets how long others wait whom nobody approves, because the caller's device says so.
    pub(crate) async fn set_wait(&self, caller: &SessionCaller, seconds: u64) -> Result<(), DeviceError> {
        let by = caller.device_key().ok_or(DeviceError::KeyRequired)?;
        self.change(caller, move |devices, _| devices.set_wait(seconds, by)).await.map(drop)
    }

    /// The devices of the caller's account.
    pub(crate) fn of(&self, caller: &SessionCaller) -> agentkeys_api::Devices {
        self.look(caller, |devices, now| devices.view(caller.device_key(), now))
    }

    /// How many changes there have been.
    pub(crate) fn revision(&self, caller: &SessionCaller) -> u64 {
        self.look(caller, |devices, _| devices.revision())
    }

    fn look<T>(&self, caller: &SessionCaller, look: impl FnOnce(&AccountDevices, Timestamp) -> T) -> T {
        let account = self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(&caller.account()).cloned();
        let now = self.clock.now();
        match account {
            Some(account) => look(&account.devices.read().unwrap_or_else(PoisonError::into_inner), now),
            None => look(&AccountDevices::default(), now),
        }
    }

    /// Decides on a change, records it, and only then has it count. Gives it, with the time that it counts from.
    async fn change(
        &self,
        caller: &SessionCaller,
        decide: impl FnOnce(&AccountDevices, Timestamp) -> Result<Option<DeviceChange>, DeviceError> + Send + 'static,
    ) -> Result<Option<(DeviceChange, Timestamp)>, DeviceError> {
        let account = self.account(caller.account());
        let (record, clock, caller) = (Arc::clone(&self.record), Arc::clone(&self.clock), *caller);
        let changed = async move {
            let _one_at_a_time = account.changing.lock().await;
            let time = clock.now();
            let decided = {
                let devices = account.devices.read().unwrap_or_else(PoisonError::into_inner);
                let decided = decide(&devices, time)?;
                decided.map(|change| devices.check_pace(&change, time).map(|()| change)).transpose()?
            };
            let Some(change) = decided else { return Ok(None) };
            let (account_id, session) = (caller.account(), caller.session());
            record.append(Entry { time, account: account_id, session, event: Event::Device(change) }).await?;
            account.devices.write().unwrap_or_else(PoisonError::into_inner).apply(time, change);
            tracing::info!(account = %account_id, %session, ?change, "the devices of an account changed");
            Ok(Some((change, time)))
        };
        // A caller that goes away must not leave a change behind that is recorded and does not count.
        tokio::spawn(changed).await.map_err(|_| LogUnavailable)?
    }

    fn account(&self, account: OmniAccount) -> Arc<Account> {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.entry(account).or_default())
    }
}
