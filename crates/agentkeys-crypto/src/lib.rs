//! ES256 keys, tokens and JWK Sets; wallet derivation and EIP-191.
//!
//! [`Es256Key`] signs, for one [`Purpose`] only. [`SessionIssuer`] and [`TokenVerifier`] make and check the
//! session tokens, [`DeviceKey`] and [`HolderCheck`] bind them to a device; [`OidcIssuer`] makes the web-identity JWT. [`MasterSecret`] derives wallets. Everything
//! cryptographic is done by `aws-lc-rs`, `libsecp256k1` and the RustCrypto hashes; this crate invents nothing.

mod dpop;
mod es256;
mod jwk;
mod jws;
mod keyed_hash;
mod oidc;
pub mod private_file;
mod random;
mod session_token;
mod wallet;

pub use dpop::{DeviceKey, HolderCheck, HolderError, Presentation};
pub use es256::{Es256Key, KeyError, Purpose};
pub use jwk::{Jwk, JwkSet};
pub use keyed_hash::HashKey;
pub use oidc::{OidcClaims, OidcIssuer, SessionTags};
pub use random::random;
pub use session_token::{
    AUDIENCE, Confirmation, SessionIssuer, SessionTokenClaims, TokenError, TokenVerifier, VerifiedToken,
    WalletSessionTokenClaims,
};
pub use wallet::{EvmSignature, MasterSecret, SignatureError, Wallet, keccak256};
