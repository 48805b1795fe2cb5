use super::{Name, algorithm};
use crate::{
    reader::{Malformed, Reader},
    writer::Writer,
};

/// Its password, which is empty, lets it be counted up.
const AUTH_WRITE: u32 = 1 << 2;
/// Its policy lets it be written.
const POLICY_WRITE: u32 = 1 << 3;
/// It is a counter.
const COUNTER: u32 = 1 << 4;
/// It cannot be written any more.
const WRITE_LOCKED: u32 = 1 << 11;
/// Once it is locked, it stays so.
const WRITE_DEFINE: u32 = 1 << 13;
/// Its password, which is empty, lets it be read.
const AUTH_READ: u32 = 1 << 18;
/// Failed attempts at it do not count towards a lockout.
const NO_DA: u32 = 1 << 25;
/// It has been written, or counted up, at least once.
const WRITTEN: u32 = 1 << 29;

/// A counter in a TPM's memory that only goes up: 64 bits, for everybody to read and to count up.
///
/// One that is deleted and made again goes on above the highest that any deleted counter of the same TPM ever was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvCounter {
    index: u32,
}

impl NvCounter {
    /// Which release is the least that may unseal: counted up where the minimum is raised.
    pub const MIN_RELEASE: Self = Self { index: 0x0180_A6B0 };
    /// How far the signing log has come.
    pub const LOG: Self = Self { index: 0x0180_A6B1 };

    /// The counter at an index.
    pub const fn at(index: u32) -> Self {
        Self { index }
    }

    /// Where it is.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Its name once it has been counted up, which is what policies know it by.
    pub fn name(self) -> Name {
        Name::of(&self.public(true))
    }

    /// The public area (`TPMS_NV_PUBLIC`) to define it with, or that it has once it was counted up.
    pub(crate) fn public(self, written: bool) -> Vec<u8> {
        let attributes = AUTH_READ | AUTH_WRITE | COUNTER | NO_DA | if written { WRITTEN } else { 0 };
        Writer::new().u32(self.index).u16(algorithm::SHA256).u32(attributes).sized(&[]).u16(8).to_vec()
    }
}

/// 32 bytes in a TPM's memory for everybody to read, which are written once, under a policy.
///
/// Whoever owns the TPM can delete them. Its name then never comes back, but by another writing under the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvRecord {
    index: u32,
    policy: [u8; 32],
}

/// How far the writing of a record has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// There is room for it.
    Never,
    /// It can still be written over.
    Once,
    /// It is as it will be.
    ForEver,
}

impl NvRecord {
    /// Where it is.
    const INDEX: u32 = 0x0180_A6B2;
    /// How many bytes it has.
    pub(crate) const SIZE: u16 = 32;

    /// The one that is written under this policy.
    pub(crate) fn under(policy: [u8; 32]) -> Self {
        Self { index: Self::INDEX, policy }
    }

    /// Where it is.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Its name once it was written for ever.
    pub fn name(self) -> Name {
        Name::of(&self.public(Written::ForEver))
    }

    /// How far its writing has come, out of the public area of what is at its index; nothing for something else.
    pub(crate) fn written(self, public: &[u8]) -> Option<Written> {
        [Written::Never, Written::Once, Written::ForEver].into_iter().find(|written| self.public(*written) == public)
    }

    /// The public area (`TPMS_NV_PUBLIC`) to define it with, or that it has once it was written.
    pub(crate) fn public(self, written: Written) -> Vec<u8> {
        let more = match written {
            Written::Never => 0,
            Written::Once => WRITTEN,
            Written::ForEver => WRITTEN | WRITE_LOCKED,
        };
        let attributes = AUTH_READ | POLICY_WRITE | WRITE_DEFINE | NO_DA | more;
        let writer = Writer::new().u32(self.index).u16(algorithm::SHA256).u32(attributes);
        writer.sized(&self.policy).u16(Self::SIZE).to_vec()
    }
}

/// How many bytes are at an index, out of its `TPMS_NV_PUBLIC`.
pub(crate) fn size_of_index(public: &[u8]) -> Result<usize, Malformed> {
    let mut reader = Reader::new(public);
    reader.u32()?;
    reader.u16()?;
    reader.u32()?;
    reader.sized(64)?;
    let size = usize::from(reader.u16()?);
    reader.end()?;
    Ok(size)
}
