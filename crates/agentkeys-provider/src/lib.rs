//! Signs people in by an OpenID Provider, as its relying party.
//!
//! A [`Provider`] is one of the operator's providers: it finds its endpoints by discovery, writes the URL to which a
//! browser is sent, and turns the code that comes back into a [`VerifiedSubject`]. [`RoundTrip`] is what ties the two
//! together. [`Reach`] says which machines a provider may make this one talk to.
//!
//! The protocols are those of `oauth2` and `openidconnect`. What is here is what they leave to their caller: which
//! addresses, how long and how much, whose keys and since when, and that nothing loose is read as a token.

mod error;
mod fetch;
mod id_token;
mod keys;
mod metadata;
mod provider;
mod reach;
mod remembered;
mod round_trip;
mod settings;

pub use error::ProviderError;
pub use fetch::FETCH_TIMEOUT;
pub use openidconnect::IssuerUrl;
pub use provider::{Provider, VerifiedSubject};
pub use reach::Reach;
pub use round_trip::RoundTrip;
pub use settings::{ProviderSettings, SettingsError};
