use std::sync::Arc;

use agentkeys_api::Message;
use agentkeys_crypto::{EvmSignature, HolderCheck, Presentation, keccak256};
use agentkeys_types::{Clock, EvmAddress, OmniAccount};
use quick_cache::sync::Cache;

use crate::{
    Attester, CallerError, Entry, Event, KeysUnavailable, LogUnavailable, Outcome, SessionCaller, SigningRecord,
    Standing, WalletKeys, caller::Callers, session_keys::SessionKeys, standing::Standings,
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
}

impl SignerConfig {
    /// A signer for development, of the broker at `issuer`: it signs any message, for any device.
    pub fn for_development(issuer: String) -> Self {
        Self { issuer, purpose: Purpose::AnyMessage, pins_devices: false }
    }
}

/// What a signer signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Any message.
    AnyMessage,
    /// The broker's challenges that prove the caller's own wallet, while they are good, and nothing else.
    WalletProof {
        /// The chains that they may name (EIP-155).
        chain_ids: Vec<u64>,
    },
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
    /// The signing could not be recorded, so it was not done.
    #[error(transparent)]
    Log(#[from] LogUnavailable),
    /// There is no master secret.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
}

/// What a caller may ask for.
enum Action<'a> {
    DeriveAddress,
    SignMessage(&'a Message),
}

/// Derives wallets and signs for those whose session stands, each for its own account.
#[derive(Debug)]
pub struct Signer {
    keys: Arc<dyn WalletKeys>,
    callers: Callers,
    record: Arc<dyn SigningRecord>,
    clock: Arc<dyn Clock>,
    /// Addresses only, never keys: half of a signature's cost would go into deriving the public key.
    addresses: Cache<OmniAccount, EvmAddress>,
}

impl Signer {
    /// Puts a signer together, which begins to fetch the broker's session keys.
    pub fn open(config: SignerConfig, parts: SignerParts) -> Arc<Self> {
        let SignerParts { keys, record, attester: _, standing, clock } = parts;
        let session_keys = Arc::new(SessionKeys::new(config.issuer, Arc::clone(&standing), Arc::clone(&clock)));
        let first_fetch = Arc::clone(&session_keys);
        tokio::spawn(async move { first_fetch.fetch_with_others().await });
        let standings = Standings::new(standing, Arc::clone(&clock));
        let holders = HolderCheck::default();
        let callers = Callers { keys: session_keys, standings, holders, clock: Arc::clone(&clock) };
        Arc::new(Self { keys, callers, record, clock, addresses: Cache::new(REMEMBERED_ADDRESSES) })
    }

    /// The address of the caller's wallet.
    pub async fn derive_address(&self, caller: &SessionCaller, account: &OmniAccount) -> Result<EvmAddress, SignError> {
        self.authorize(caller, account, &Action::DeriveAddress).await
    }

    /// Signs `message` with the caller's wallet, as EIP-191.
    pub async fn sign_message(
        &self,
        caller: &SessionCaller,
        account: &OmniAccount,
        message: &Message,
    ) -> Result<EvmSignature, SignError> {
        self.authorize(caller, account, &Action::SignMessage(message)).await?;
        Ok(self.keys.sign_eip191(account, &message.0)?)
    }

    /// Decides whether `caller` may perform `action` with the wallet of `account`, and records every signing
    /// durably. Gives the wallet's address.
    ///
    /// Every method that acts for a caller starts here, and goes no further on an error.
    async fn authorize(
        &self,
        caller: &SessionCaller,
        account: &OmniAccount,
        action: &Action<'_>,
    ) -> Result<EvmAddress, SignError> {
        if caller.account() != *account {
            return Err(SignError::AccountMismatch);
        }
        let address = self.address(account)?;
        if let Action::SignMessage(message) = action {
            let entry = Entry {
                time: self.clock.now(),
                account: *account,
                session: caller.session(),
                event: Event::Signing { address, message: keccak256(&message.0), outcome: Outcome::Allowed },
            };
            self.record.append(entry).await?;
        }
        Ok(address)
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

    fn address(&self, account: &OmniAccount) -> Result<EvmAddress, KeysUnavailable> {
        self.addresses.get_or_insert_with(account, || self.keys.address(account))
    }
}
