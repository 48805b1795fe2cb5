//! DEV ONLY: wallet keys from a secret in the environment. Keep no funds on them.
//!
//! Whoever reads the environment from which this process was started can sign for every wallet.
//! A signer that others rely on is the TEE worker, which never shows its master secret to anyone.

use std::{fmt, io, path::Path};

use agentkeys_crypto::{EvmSignature, MasterSecret, Wallet, private_file, random};
use agentkeys_memory::take_variable;
use agentkeys_signer::{KeysUnavailable, WalletKeys};
use agentkeys_types::{EvmAddress, OmniAccount};
use zeroize::Zeroizing;

/// DEV ONLY: the variable that holds the master secret, as 64 hex digits.
pub const MASTER_SECRET_VARIABLE: &str = "DEV_KEY_SERVICE_MASTER_SECRET";

/// DEV ONLY: why there is no development signer. The secret is never part of the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevKeyError {
    /// DEV ONLY: the file that keeps the master secret could not be used.
    #[error("the development master secret could not be kept: {0}")]
    File(#[source] io::Error),
    /// DEV ONLY: the variable or file holds something else.
    #[error("{0} must be 64 hex digits")]
    Malformed(&'static str),
    /// DEV ONLY: the environment could not be changed.
    #[error("the development master secret could not be taken out of the environment: {0}")]
    Taking(#[source] io::Error),
}

/// DEV ONLY: derives wallets from a master secret that the environment or a file holds.
///
/// Without a master secret it is disabled: it derives and signs nothing.
pub struct DevKeyService {
    master_secret: Option<MasterSecret>,
}

impl DevKeyService {
    /// DEV ONLY: a service without a master secret.
    pub fn disabled() -> Self {
        Self { master_secret: None }
    }

    /// DEV ONLY: derives from these 32 bytes.
    pub fn from_bytes(master_secret: &[u8; 32]) -> Self {
        tracing::warn!("DEV ONLY: wallet keys are derived from a development secret: keep no funds on them");
        Self { master_secret: Some(MasterSecret::new(master_secret)) }
    }

    /// DEV ONLY: derives from the 64 hex digits in `DEV_KEY_SERVICE_MASTER_SECRET`, which are then no longer there;
    /// none without it.
    ///
    /// To be called in `main`, before there are threads.
    ///
    /// # Errors
    ///
    /// When the variable holds anything else, also nothing at all.
    pub fn from_env() -> Result<Option<Self>, DevKeyError> {
        let Some(text) = take_variable(MASTER_SECRET_VARIABLE).map_err(DevKeyError::Taking)? else { return Ok(None) };
        let secret = parse(text.expose()).ok_or(DevKeyError::Malformed(MASTER_SECRET_VARIABLE))?;
        Ok(Some(Self::from_bytes(&secret)))
    }

    /// DEV ONLY: derives from the secret that `file` keeps, made there at first.
    pub fn from_file(file: &Path) -> Result<Self, DevKeyError> {
        let make = || Zeroizing::new(Zeroizing::new(hex::encode(*Zeroizing::new(random::<32>()))).as_bytes().to_vec());
        let text = private_file::read_or_create(file, make).map_err(DevKeyError::File)?;
        parse(&text)
            .map(|secret| Self::from_bytes(&secret))
            .ok_or(DevKeyError::Malformed("the development master secret"))
    }

    /// DEV ONLY: the account's key pair, for one operation; `None` while disabled.
    pub fn derive_keypair(&self, omni_account: &OmniAccount) -> Option<Wallet> {
        Some(self.master_secret.as_ref()?.derive_wallet(omni_account))
    }

    /// DEV ONLY: the account's EIP-191 signature of any message at all; `None` while disabled.
    pub fn sign_eip191(&self, omni_account: &OmniAccount, message: &[u8]) -> Option<EvmSignature> {
        Some(self.derive_keypair(omni_account)?.sign_eip191(message))
    }
}

impl WalletKeys for DevKeyService {
    fn ready(&self) -> Result<(), KeysUnavailable> {
        self.master_secret.as_ref().map(drop).ok_or(KeysUnavailable)
    }

    fn address(&self, account: &OmniAccount) -> Result<EvmAddress, KeysUnavailable> {
        self.derive_keypair(account).map(|wallet| wallet.address()).ok_or(KeysUnavailable)
    }

    fn sign_eip191(&self, account: &OmniAccount, message: &[u8]) -> Result<EvmSignature, KeysUnavailable> {
        self.sign_eip191(account, message).ok_or(KeysUnavailable)
    }
}

impl fmt::Debug for DevKeyService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.master_secret.is_some() { "enabled" } else { "disabled" };
        write!(formatter, "DevKeyService({state})")
    }
}

/// The 32 bytes of exactly 64 hex digits.
fn parse(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, secret.as_mut_slice()).ok()?;
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";

    #[test]
    fn the_published_secret_derives_the_published_wallet() {
        let service = DevKeyService::from_bytes(&std::array::from_fn(|index| u8::try_from(index).unwrap()));
        let account = ADA.parse().unwrap();

        let wallet = service.derive_keypair(&account).unwrap();

        assert_eq!(wallet.address().to_string(), "0x74144a5f826537a8610B136552c6fFEc9D37A6dE");
        assert_eq!(
            service.sign_eip191(&account, b"hello").unwrap().to_string(),
            "0xed7f810d9e140e81e92905ba09c3fa6381dfe3cb8283bdc6a133874c9e48cb8f263b1825e5a14511d07181364e3f6e85e14bfcce7d0094f045c9be0f7823d9921c"
        );
        assert!(service.ready().is_ok());
    }

    #[test]
    fn without_a_secret_there_is_neither_wallet_nor_signature() {
        let service = DevKeyService::disabled();
        let account = ADA.parse().unwrap();

        assert_eq!(service.ready(), Err(KeysUnavailable));
        assert_eq!(WalletKeys::address(&service, &account), Err(KeysUnavailable));
        assert_eq!(WalletKeys::sign_eip191(&service, &account, b"hello"), Err(KeysUnavailable));
    }

    #[test]
    fn a_master_secret_is_64_hex_digits_and_nothing_else() {
        assert!(parse("aB".repeat(32).as_bytes()).is_some());
        for text in ["", "ab", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &format!("0x{}", "0".repeat(64))] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_secret_made_at_first_is_kept_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master-secret");
        let account = ADA.parse().unwrap();

        let first = DevKeyService::from_file(&file).unwrap();
        let second = DevKeyService::from_file(&file).unwrap();

        assert_eq!(first.address(&account), second.address(&account));
        assert_eq!(std::fs::read(&file).unwrap().len(), 64);
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master-secret");
        private_file::create_new(&file, b"too short").unwrap();

        assert!(matches!(DevKeyService::from_file(&file), Err(DevKeyError::Malformed(_))));
    }
}
