use std::fmt;

use agentkeys_crypto::{EvmSignature, MasterSecret};
use agentkeys_signer::{KeysUnavailable, WalletKeys};
use agentkeys_types::{EvmAddress, OmniAccount};

/// Derives wallets from the unsealed master secret, which no other process can read.
pub struct TeeWalletKeys(MasterSecret);

impl TeeWalletKeys {
    /// Those of this master secret.
    pub fn new(master_secret: MasterSecret) -> Self {
        Self(master_secret)
    }
}

impl WalletKeys for TeeWalletKeys {
    fn ready(&self) -> Result<(), KeysUnavailable> {
        Ok(())
    }

    fn address(&self, account: &OmniAccount) -> Result<EvmAddress, KeysUnavailable> {
        Ok(self.0.derive_wallet(account).address())
    }

    fn sign_eip191(&self, account: &OmniAccount, message: &[u8]) -> Result<EvmSignature, KeysUnavailable> {
        Ok(self.0.derive_wallet(account).sign_eip191(message))
    }
}

impl fmt::Debug for TeeWalletKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TeeWalletKeys(…)")
    }
}
