use std::fmt;

use super::{algorithm, sha256};
use crate::{reader::Malformed, writer::Writer};

/// The name of an object or an index: what a TPM calls it wherever it must be sure which one is meant.
///
/// The hash algorithm and the SHA-256 of its public area, which nobody can give to another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name([u8; Name::LENGTH]);

impl Name {
    /// How many bytes a name has.
    pub const LENGTH: usize = 34;

    /// The name of what has this marshalled public area.
    pub fn of(public: &[u8]) -> Self {
        let mut name = [0; Self::LENGTH];
        name[..2].copy_from_slice(&algorithm::SHA256.to_be_bytes());
        name[2..].copy_from_slice(&sha256(&[public]));
        Self(name)
    }

    /// A name as it is sent.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let name: [u8; Self::LENGTH] = bytes.try_into().map_err(|_| Malformed("a name has 34 bytes"))?;
        if name[..2] != algorithm::SHA256.to_be_bytes() {
            return Err(Malformed("a name is not of SHA-256"));
        }
        Ok(Self(name))
    }

    /// Its bytes, as they are sent.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Its bytes behind their size.
    pub(crate) fn write(&self, writer: Writer) -> Writer {
        writer.sized(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Name({self})")
    }
}
