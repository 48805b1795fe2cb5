//! Proof of possession of a device key (DPoP, RFC 9449): a stolen session token alone opens nothing.
//!
//! A [`DeviceKey`] proves each request; [`HolderCheck`] checks at a server that whoever presents a token may.

mod device_key;
mod holder;
mod nonces;
mod proof;

pub use device_key::DeviceKey;
pub use holder::{HolderCheck, HolderError, Presentation};
