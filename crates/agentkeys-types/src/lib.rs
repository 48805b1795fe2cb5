//! The vocabulary of AgentKeys: accounts, identities, addresses, tokens, ids and the clock.
//!
//! Every type here is valid once it exists: parsing is the only way in from text. Nothing in this
//! crate does I/O, except [`SystemClock`], which reads the time.

mod account;
mod address;
mod aws;
mod clock;
mod email;
mod id;
mod identity;
mod invalid;
mod invisible;
mod names;
mod secret;
mod thumbprint;

pub use account::{ClientId, OmniAccount};
pub use address::EvmAddress;
pub use aws::AwsCredentials;
pub use clock::{Clock, SystemClock, Timestamp};
pub use email::EmailAddress;
pub use id::{RequestId, RequestIdDigest, SessionId};
pub use identity::{Identity, IdentityType, IdentityTypes, PrefixClash, ProviderName};
pub use invalid::Invalid;
pub use invisible::is_invisible;
pub use names::{AgentName, RoleName};
pub use secret::{OidcJwt, SessionToken, TOKEN_PATTERN, TokenDigest, WalletSessionToken};
pub use thumbprint::KeyThumbprint;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic_and_what_is_read_is_written_the_same_way(text in "(0x)?[0-9a-fA-F]{0,70}|\\PC{0,40}|[0-9TZ:.+-]{0,30}") {
            let _ = text.parse::<ClientId>();
            let _ = text.parse::<ProviderName>();
            let _ = text.parse::<RequestId>();
            if let Ok(account) = text.parse::<OmniAccount>() {
                prop_assert_eq!(account.to_string().parse(), Ok(account));
            }
            if let Ok(address) = text.parse::<EvmAddress>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
            if let Ok(session) = text.parse::<SessionId>() {
                prop_assert_eq!(session.to_string(), text.clone());
            }
            if let Ok(thumbprint) = text.parse::<KeyThumbprint>() {
                prop_assert_eq!(thumbprint.to_string(), text.clone());
            }
            if let Ok(kind) = text.parse::<IdentityType>() {
                prop_assert_eq!(kind.to_string(), text.clone());
            }
            if let Ok(time) = text.parse::<Timestamp>() {
                prop_assert_eq!(time.to_string().parse(), Ok(time));
            }
        }
    }
}
