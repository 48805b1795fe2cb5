use std::{sync::Arc, time::Duration};

use agentkeys_api::{Message, SigningOutcome};
use agentkeys_crypto::{EvmSignature, HolderCheck, Presentation, keccak256};
use agentkeys_types::{Clock, EvmAddress, KeyThumbprint, OmniAccount};
use quick_cache::sync::Cache;

use crate::{
    Attester, CallerError, DeviceError, Entry, Event, KeysUnavailable, LogUnavailable, Purpose, Receipt, SessionCaller,
    SigningRecord, Standing, WalletKeys,
    attester::Attestation,
    caller::Callers,
    devices::Devices,
    pace::{Minutes, TooOften},
    purpose::PurposeCheck,
    session_keys::SessionKeys,
    standing::Standings,
};

const REMEMBERED_ADDRESSES: usize = 16_384;

/// What a signer needs to know.
#[derive(Clone, Debug)]
pub struct SignerConfig {
    /// The broker's URL as it stands in `iss` of session tokens.
    pub issuer: String,
    /// What it signs.
    pub purpose: Purpose,
    /// Whether an account's device keys are pinned, and only they sign.
    pub pins_devices: bool,
    /// How many messages are signed in a minute for one account, if that is limited.
    pub signings_per_minute: Option<u32>,
}

impl SignerConfig {
    /// A signer for development, of the broker at `issuer`: it signs any message, for any device.
    pub fn for_development(issuer: String) -> Self {
        Self { issuer, purpose: Purpose::AnyMessage, pins_devices: false, signings_per_minute: None }
    }
}

/// What a signer is made of.
#[derive(Debug)]
pub struct SignerParts {
    /// Where the keys come from.
    pub keys: Arc<dyn WalletKeys>,
    /// Remembers what is signed.
    pub record: Arc<dyn SigningRecord>,
    /// Shows where it runs.
    pub attester: Arc<dyn Attester>,
    /// Says which sessions stand.
    pub standing: Arc<dyn Standing>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Why nothing was derived or signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The caller asked for another account than its own.
    #[error("the session belongs to another account")]
    AccountMismatch,
    /// The caller's device may not, or not do that.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// There is no master secret.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    /// The signing could not be recorded, so it was not done.
    #[error(transparent)]
    Log(#[from] LogUnavailable),
    /// The message is not one that this signer is for.
    #[error("this signer signs only its broker's challenges that prove the caller's own wallet, while they are good")]
    MessageRefused,
    /// The account has had too many messages signed.
    #[error("too many messages were signed for the account in the last minute")]
    TooOften {
        /// How long it is until the next one is signed.
        left: Duration,
    },
}

/// A signature, and what shows that it is in the signing log.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The signature.
    pub signature: EvmSignature,
    /// What the log gave for its entry.
    pub receipt: Receipt,
}

/// What a caller may ask for.
enum Action<'a> {
    ChangeDevices,
    DeriveAddress,
    SignMessage(&'a Message),
}

/// Derives wallets and signs for those whose session stands, each for its own account.
#[derive(Debug)]
pub struct Signer {
    keys: Arc<dyn WalletKeys>,
    callers: Callers,
    record: Arc<dyn SigningRecord>,
    /// Where devices are pinned.
    devices: Option<Devices>,
    purpose: PurposeCheck,
    /// How often messages were signed, where that is limited.
    signings: Option<Minutes>,
    attestation: Attestation,
    clock: Arc<dyn Clock>,
    /// Addresses only, never keys: half of a signature's cost would go into deriving the public key.
    addresses: Cache<OmniAccount, EvmAddress>,
}

impl Signer {
    /// Puts a signer together, which begins to fetch the broker's session keys.
    pub fn open(config: SignerConfig, parts: SignerParts) -> Arc<Self> {
        let SignerParts { keys, record, attester, standing, clock } = parts;
        let purpose = PurposeCheck::new(config.purpose, &config.issuer);
        let signings = config.signings_per_minute.map(Minutes::new);
        let devices = config.pins_devices.then(|| Devices::open(Arc::clone(&record), Arc::clone(&clock)));
        let session_keys = Arc::new(SessionKeys::new(config.issuer, Arc::clone(&standing), Arc::clone(&clock)));
        let first_fetch = Arc::clone(&session_keys);
        tokio::spawn(async move { first_fetch.fetch_with_others().await });
        let standings = Standings::new(standing, Arc::clone(&clock));
        let holders = HolderCheck::default();
        let callers = Callers { keys: session_keys, standings, holders, clock: Arc::clone(&clock) };
        let (attestation, addresses) = (Attestation::new(attester), Cache::new(REMEMBERED_ADDRESSES));
        Arc::new(Self { keys, callers, record, devices, purpose, signings, attestation, clock, addresses })
    }

    /// The address of the caller's wallet.
    pub async fn derive_address(&self, caller: &SessionCaller, account: &OmniAccount) -> Result<EvmAddress, SignError> {
        Ok(self.authorize(caller, account, &Action::DeriveAddress).await?.0)
    }

    /// Signs `message` with the caller's wallet, as EIP-191.
    pub async fn sign_message(
        &self,
        caller: &SessionCaller,
        account: &OmniAccount,
        message: &Message,
    ) -> Result<Signed, SignError> {
        let (_, receipt) = self.authorize(caller, account, &Action::SignMessage(message)).await?;
        Ok(Signed { signature: self.keys.sign_eip191(account, &message.0)?, receipt })
    }

    /// Lets another device of the caller's account in.
    pub async fn approve_device(&self, caller: &SessionCaller, key: KeyThumbprint) -> Result<(), SignError> {
        self.authorize(caller, &caller.account(), &Action::ChangeDevices).await?;
        Ok(self.devices()?.approve(caller, key).await?)
    }

    /// Takes a device of the caller's account away, or stops one that waits.
    pub async fn remove_device(&self, caller: &SessionCaller, key: KeyThumbprint) -> Result<(), SignError> {
        self.authorize(caller, &caller.account(), &Action::ChangeDevices).await?;
        Ok(self.devices()?.remove(caller, key).await?)
    }

    /// Sets how long other devices of the account wait whom nobody approves.
    pub async fn set_recovery_wait(
        &self,
        caller: &SessionCaller,
        account: &OmniAccount,
        seconds: u64,
    ) -> Result<(), SignError> {
        self.authorize(caller, account, &Action::ChangeDevices).await?;
        Ok(self.devices()?.set_wait(caller, seconds).await?)
    }

    /// The devices of the caller's account, which any bound session of it may look at.
    pub fn list_devices(&self, caller: &SessionCaller) -> Result<agentkeys_api::Devices, SignError> {
        caller.device_key().ok_or(DeviceError::KeyRequired)?;
        Ok(self.devices()?.of(caller))
    }

    /// How many changes the devices of the caller's account have seen, where devices are pinned.
    pub fn device_revision(&self, caller: &SessionCaller) -> Option<u64> {
        self.devices.as_ref().map(|devices| devices.revision(caller))
    }

    /// Decides whether `caller` may perform `action` for `account`, and records every signing durably. Gives the
    /// wallet's address, and the receipt of what was recorded.
    ///
    /// Every method that acts for a caller starts here, and goes no further on an error.
    async fn authorize(
        &self,
        caller: &SessionCaller,
        account: &OmniAccount,
        action: &Action<'_>,
    ) -> Result<(EvmAddress, Receipt), SignError> {
        if caller.account() != *account {
            return Err(SignError::AccountMismatch);
        }
        if let Some(devices) = &self.devices {
            devices.admit(caller).await?;
        }
        let address = self.address(account)?;
        let Action::SignMessage(message) = action else { return Ok((address, Receipt::default())) };
        let (time, session) = (self.clock.now(), caller.session());
        if let Err(fault) = self.purpose.check(&message.0, address, account, time) {
            tracing::info!(%account, %session, %fault, "a message was not signed");
            return Err(SignError::MessageRefused);
        }
        if let Some(signings) = &self.signings {
            signings.count(account, time).map_err(|TooOften(left)| SignError::TooOften { left })?;
        }
        let event = Event::Signing { address, message: keccak256(&message.0), outcome: SigningOutcome::Allowed };
        let receipt = self.record.append(Entry { time, account: *account, session, event }).await?;
        Ok((address, receipt))
    }

    /// Whether there is a master secret.
    pub(crate) fn ready(&self) -> Result<(), KeysUnavailable> {
        self.keys.ready()
    }

    /// The caller behind a token, if it may come in.
    pub(crate) async fn recognize(&self, presented: &Presentation<'_>) -> Result<SessionCaller, CallerError> {
        self.callers.recognize(presented).await
    }

    /// The nonce for proofs from now on (RFC 9449 section 8).
    pub fn dpop_nonce(&self) -> String {
        self.callers.holders.nonce(self.clock.now())
    }

    /// Shows where this signer runs.
    pub(crate) fn attestation(&self) -> &Attestation {
        &self.attestation
    }

    /// Whether only pinned devices have something signed.
    pub(crate) fn pins_devices(&self) -> bool {
        self.devices.is_some()
    }

    fn devices(&self) -> Result<&Devices, DeviceError> {
        self.devices.as_ref().ok_or(DeviceError::Unknown)
    }

    fn address(&self, account: &OmniAccount) -> Result<EvmAddress, KeysUnavailable> {
        self.addresses.get_or_insert_with(account, || self.keys.address(account))
    }
}
