//! The signer's routes, gate and signing log, over any source of wallet keys.
//!
//! [`Signer`] decides; it knows nothing of HTTP. [`router`] translates HTTP to and from it, and [`openapi`] describes
//! that. [`WalletKeys`] is where the keys come from: the development signer and the TEE worker each bring their own, and
//! share the rest. [`Standing`] is what the broker is asked, and [`BrokerStanding`] asks it over HTTP.
//! [`SigningRecord`] remembers every signing before it happens, [`SigningLog`] in a file; where devices are pinned, who may
//! sign for an account is nothing but what it remembers. [`Purpose`] says what is signed, [`Attester`] shows where.

mod attester;
mod broker_standing;
mod caller;
mod devices;
mod error;
mod pace;
mod purpose;
mod record;
mod routes;
mod session_keys;
mod signer;
pub mod signing_log;
mod standing;
mod wallet_keys;

pub use attester::{AttestError, Attester, NotAttested};
pub use broker_standing::{BrokerStanding, BrokerUrlError};
pub use caller::{CallerError, SessionCaller};
pub use devices::DeviceError;
pub use purpose::Purpose;
pub use record::{Entry, Event, LogUnavailable, Receipt, SigningRecord};
pub use routes::{openapi, router};
pub use signer::{SignError, Signed, Signer, SignerConfig, SignerParts};
pub use signing_log::{LogError, SigningLog};
pub use standing::{BrokerUnreachable, Standing};
pub use wallet_keys::{KeysUnavailable, WalletKeys};
