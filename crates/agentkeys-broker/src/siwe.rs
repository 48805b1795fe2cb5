use std::fmt;

use agentkeys_types::{EvmAddress, OmniAccount, Timestamp};

/// An EIP-4361 message that proves a wallet, always with the same statement and one resource.
///
/// Displays as the exact text to sign. It is rendered here and compared byte for byte later; nothing that a
/// client sends is ever parsed as one.
#[derive(Clone, Debug)]
pub struct SiweMessage<'a> {
    /// The broker's authority (RFC 3986).
    pub domain: &'a str,
    /// The wallet.
    pub address: EvmAddress,
    /// The broker's URL.
    pub uri: &'a str,
    /// The EIP-155 chain.
    pub chain_id: u64,
    /// At least 96 random bits, alphanumeric.
    pub nonce: &'a str,
    /// When the message was made.
    pub issued_at: Timestamp,
    /// When it stops counting.
    pub expires_at: Timestamp,
    /// The account that the wallet is to be linked to.
    pub account: OmniAccount,
}

impl fmt::Display for SiweMessage<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, address, uri, chain_id, nonce, issued_at, expires_at, account } = self;
        write!(
            formatter,
            "{domain} wants you to sign in with your Ethereum account:\n\
             {address}\n\
             \n\
             Prove this wallet for your AgentKeys account.\n\
             \n\
             URI: {uri}\n\
             Version: 1\n\
             Chain ID: {chain_id}\n\
             Nonce: {nonce}\n\
             Issued At: {issued_at}\n\
             Expiration Time: {expires_at}\n\
             Resources:\n\
             - urn:agentkeys:account:{account}"
        )
    }
}
