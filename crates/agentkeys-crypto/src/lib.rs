//! ES256 keys, tokens and JWK Sets; wallet derivation and EIP-191.
//!
//! A [`SigningKey`] signs, for one [`Purpose`] only; a [`KeyRing`] has those of one kind and a [`Rotation`] moves
//! them on. [`SessionIssuer`] and [`TokenVerifier`] make and check the session tokens, [`DeviceKey`] and
//! [`HolderCheck`] bind them to a device; [`OidcIssuer`] makes the web-identity JWT. [`MasterSecret`] derives wallets,
//! and a [`SiweMessage`] is what proves one.
//! Everything cryptographic is done by `aws-lc-rs`, `libsecp256k1` and the RustCrypto hashes; this crate invents nothing.

mod dpop;
mod es256;
mod jwk;
mod jws;
mod key_file;
mod key_ring;
mod keyed_hash;
mod oidc;
pub mod private_file;
mod random;
mod report_data;
mod rs256;
mod sealing;
mod session_token;
mod signing_key;
mod siwe;
mod wallet;

pub use dpop::{DeviceKey, HolderCheck, HolderError, Presentation};
pub use es256::Es256Key;
pub use jwk::{Jwk, JwkSet, KeyParameters};
pub use key_ring::{FolderState, KeyRing, KeyState, ListedKey, RingName, Rotation};
pub use keyed_hash::HashKey;
pub use oidc::{OidcClaims, OidcIssuer, SessionTags};
pub use random::random;
pub use report_data::ReportData;
pub use rs256::Rs256Key;
pub use sealing::SealingKey;
pub use session_token::{
    AUDIENCE, Confirmation, SessionIssuer, SessionTokenClaims, TokenError, TokenVerifier, VerifiedToken,
    WalletSessionTokenClaims,
};
pub use signing_key::{Algorithm, KeyError, Purpose, SigningKey};
pub use siwe::{SiweError, SiweMessage};
pub use wallet::{EvmSignature, MasterSecret, SignatureError, Wallet, keccak256};
