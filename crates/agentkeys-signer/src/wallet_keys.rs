use std::fmt;

use agentkeys_crypto::{EvmSignature, MasterSecret};
use agentkeys_types::{EvmAddress, OmniAccount};

/// There is no master secret to derive wallets from, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signer has no master secret")]
pub struct KeysUnavailable;

/// Derives the wallet of an account, and signs with it.
///
/// The same account always has the same wallet. Keys live for one call and never leave it.
pub trait WalletKeys: Send + Sync + fmt::Debug {
    /// Whether there is a master secret: asked before anything else about a request is looked at.
    fn ready(&self) -> Result<(), KeysUnavailable>;

    /// The address of the account's wallet.
    fn address(&self, account: &OmniAccount) -> Result<EvmAddress, KeysUnavailable>;

    /// The account's EIP-191 signature of `message`; the same message gives the same signature.
    fn sign_eip191(&self, account: &OmniAccount, message: &[u8]) -> Result<EvmSignature, KeysUnavailable>;
}

/// A master secret that is there derives every wallet.
impl WalletKeys for MasterSecret {
    fn ready(&self) -> Result<(), KeysUnavailable> {
        Ok(())
    }

    fn address(&self, account: &OmniAccount) -> Result<EvmAddress, KeysUnavailable> {
        Ok(self.derive_wallet(account).address())
    }

    fn sign_eip191(&self, account: &OmniAccount, message: &[u8]) -> Result<EvmSignature, KeysUnavailable> {
        Ok(self.derive_wallet(account).sign_eip191(message))
    }
}
