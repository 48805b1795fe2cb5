use std::time::Duration;

use agentkeys_crypto::SiweMessage;
use agentkeys_types::{EvmAddress, OmniAccount, Timestamp};
use reqwest::Url;

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

/// How far the broker's clock may be ahead.
const LEEWAY: Duration = Duration::from_mins(1);

/// Why a message is not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageFault {
    #[error("it proves another wallet or account than the caller's")]
    Caller,
    #[error("it names a chain that this signer does not sign for")]
    Chain,
    #[error("it is not a challenge to prove a wallet")]
    Form,
    #[error("it is for another site than the broker")]
    Site,
    #[error("it is not good now, or for too long")]
    Window,
}

/// Holds messages against a purpose.
#[derive(Debug)]
pub(crate) struct PurposeCheck {
    purpose: Purpose,
    /// The broker's URL and authority, as they stand in its messages.
    uri: String,
    domain: String,
}

impl PurposeCheck {
    /// For the messages of the broker at `issuer`.
    pub(crate) fn new(purpose: Purpose, issuer: &str) -> Self {
        let uri = issuer.trim_end_matches('/').to_owned();
        // No message names an empty domain, so one that is no URL has nothing signed.
        let domain = Url::parse(issuer).map(|url| url.authority().to_owned()).unwrap_or_default();
        Self { purpose, uri, domain }
    }

    pub(crate) fn check(
        &self,
        message: &[u8],
        address: EvmAddress,
        account: &OmniAccount,
        now: Timestamp,
    ) -> Result<(), MessageFault> {
        let Purpose::WalletProof { chain_ids } = &self.purpose else { return Ok(()) };
        let text = std::str::from_utf8(message).map_err(|_| MessageFault::Form)?;
        let message = SiweMessage::parse(text).map_err(|_| MessageFault::Form)?;
        if message.domain != self.domain || message.uri != self.uri {
            return Err(MessageFault::Site);
        }
        if message.address != address || message.account != *account {
            return Err(MessageFault::Caller);
        }
        if !chain_ids.contains(&message.chain_id) {
            return Err(MessageFault::Chain);
        }
        if !message.has_short_window() || now < message.issued_at.before(LEEWAY) || now >= message.expires_at {
            return Err(MessageFault::Window);
        }
        Ok(())
    }
}
