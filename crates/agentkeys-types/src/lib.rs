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
mod secret;

pub use account::{ClientId, OmniAccount};
pub use address::EvmAddress;
pub use aws::AwsCredentials;
pub use clock::{Clock, SystemClock, Timestamp};
pub use email::EmailAddress;
pub use id::{RequestId, RequestIdDigest, SessionId};
pub use identity::{Identity, IdentityType, IdentityTypes, PrefixClash, ProviderName};
pub use invalid::Invalid;
pub use secret::{OidcJwt, SessionToken, TokenDigest, WalletSessionToken};
