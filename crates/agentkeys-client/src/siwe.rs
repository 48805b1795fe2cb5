use agentkeys_api::WalletChallenge;
use agentkeys_crypto::{SiweError, SiweMessage};
use agentkeys_types::{EvmAddress, OmniAccount};

use crate::ServerUrl;

/// What is wrong with a message that a broker wants signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeFault {
    /// It names another account.
    #[error("it names another account")]
    Account,
    /// It names another wallet.
    #[error("it names another wallet")]
    Address,
    /// It is not for the broker that sent it.
    #[error("it is for another site than this broker")]
    Domain,
    /// It is not the one form that a challenge has.
    #[error("it is not a challenge to prove a wallet")]
    Form,
    /// It would be good for too long.
    #[error("it would be good for more than ten minutes")]
    Window,
}

/// Checks that a challenge proves `address` for `account` at the broker, and nothing else.
///
/// Signing anything that a server asks for would make the signer a confused deputy: the text could be another
/// site's sign-in. So only a message that is ours to the last byte is looked at.
pub(crate) fn check(
    challenge: &WalletChallenge,
    account: OmniAccount,
    address: EvmAddress,
    broker: &ServerUrl,
) -> Result<(), ChallengeFault> {
    let message = SiweMessage::parse(&challenge.siwe_message).map_err(|error| match error {
        SiweError::Address => ChallengeFault::Address,
        SiweError::Form => ChallengeFault::Form,
    })?;
    if message.domain != broker.authority() || message.uri.trim_end_matches('/') != broker.to_string() {
        return Err(ChallengeFault::Domain);
    }
    if message.address != address {
        return Err(ChallengeFault::Address);
    }
    if !message.has_short_window() {
        return Err(ChallengeFault::Window);
    }
    if message.account != account {
        return Err(ChallengeFault::Account);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use agentkeys_types::RequestId;

    use super::*;

    const ACCOUNT: &str = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";
    const WALLET: &str = "0x74144a5f826537a8610B136552c6fFEc9D37A6dE";
    const MESSAGE: &str = "broker.example.com wants you to sign in with your Ethereum account:\n\
        0x74144a5f826537a8610B136552c6fFEc9D37A6dE\n\
        \n\
        Prove this wallet for your AgentKeys account.\n\
        \n\
        URI: https://broker.example.com\n\
        Version: 1\n\
        Chain ID: 1\n\
        Nonce: 9ZxkQ2mT7vB4nR6sW8yA\n\
        Issued At: 2026-12-22T10:00:00Z\n\
        Expiration Time: 2026-12-22T10:05:00Z\n\
        Resources:\n\
        - urn:agentkeys:account:7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";

    fn check_message(message: &str) -> Result<(), ChallengeFault> {
        let challenge = WalletChallenge {
            request_id: RequestId::from_bytes([1; 32]),
            siwe_message: message.to_owned(),
            expires_at: "2026-12-22T10:05:00Z".parse().unwrap(),
        };
        let broker = "https://broker.example.com".parse().unwrap();
        check(&challenge, ACCOUNT.parse().unwrap(), WALLET.parse().unwrap(), &broker)
    }

    #[test]
    fn the_own_challenge_is_signed() {
        assert_eq!(check_message(MESSAGE), Ok(()));
    }

    #[test]
    fn a_challenge_that_proves_something_else_is_not_signed() {
        for (ours, theirs, fault) in [
            ("account:7308", "account:8308", ChallengeFault::Account),
            (
                "0x74144a5f826537a8610B136552c6fFEc9D37A6dE",
                "0xFDc9718C197650CB9B9df139047A12F57e0FAC59",
                ChallengeFault::Address,
            ),
            (
                "0x74144a5f826537a8610B136552c6fFEc9D37A6dE",
                "0x74144a5f826537a8610b136552c6ffec9d37a6de",
                ChallengeFault::Address,
            ),
            ("broker.example.com wants", "bank.example.com wants", ChallengeFault::Domain),
            ("broker.example.com wants", "broker.example.com@bank.example.com wants", ChallengeFault::Domain),
            ("https://broker.example.com", "https://broker.example.com.evil.test", ChallengeFault::Domain),
            ("https://broker.example.com", "http://broker.example.com", ChallengeFault::Domain),
            ("Prove this wallet for your AgentKeys account.", "Sell everything.", ChallengeFault::Form),
            ("Version: 1", "Version: 2", ChallengeFault::Form),
            ("Chain ID: 1", "Chain ID: 01", ChallengeFault::Form),
            ("9ZxkQ2mT7vB4nR6sW8yA", "short", ChallengeFault::Form),
            ("10:05:00Z", "11:05:00Z", ChallengeFault::Window),
            ("10:05:00Z", "09:55:00Z", ChallengeFault::Window),
            ("Resources:", "Request ID: 1\nResources:", ChallengeFault::Form),
            ("cac6e6", "cac6e6\n- https://bank.example.com", ChallengeFault::Form),
            ("\n", "\r\n", ChallengeFault::Form),
        ] {
            assert_eq!(
                check_message(&MESSAGE.replacen(ours, theirs, if ours == "\n" { 99 } else { 1 })),
                Err(fault),
                "{theirs}"
            );
        }
    }
}
