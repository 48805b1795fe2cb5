use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

/// A hash of RFC 6962 section 2.1: of a leaf, or of a tree.
///
/// Text form: base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// How many bytes it has.
    pub const LENGTH: usize = 32;

    /// A hash from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of a tree with nothing in it.
    pub fn of_nothing() -> Self {
        Self(Sha256::digest(b"").into())
    }

    /// The hash of a leaf.
    pub fn of_leaf(leaf: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
    }

    /// The hash of the tree that has these two below it.
    pub fn of_node(left: &Self, right: &Self) -> Self {
        let mut node = [1; 1 + 2 * Self::LENGTH];
        node[1..=Self::LENGTH].copy_from_slice(&left.0);
        node[1 + Self::LENGTH..].copy_from_slice(&right.0);
        Self(Sha256::digest(node).into())
    }

    /// Reads the text form, and no other spelling of it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        BASE64_STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hash({self})")
    }
}
