use std::{collections::BTreeMap, fmt};

use super::{algorithm, sha256};
use crate::{
    reader::{Malformed, Reader},
    writer::Writer,
};

/// How many registers there are.
const COUNT: u8 = 24;

/// Values of platform configuration registers, in the SHA-256 bank.
pub type PcrValues = BTreeMap<u8, [u8; 32]>;

/// What can be asked of the values of registers.
pub trait Pcrs {
    /// Which registers there are.
    fn selection(&self) -> Result<PcrSelection, Malformed>;

    /// The digest of all the values, as a quote and a policy have it.
    fn digest(&self) -> [u8; 32];
}

impl Pcrs for PcrValues {
    fn selection(&self) -> Result<PcrSelection, Malformed> {
        PcrSelection::of(self.keys().copied())
    }

    fn digest(&self) -> [u8; 32] {
        let values: Vec<&[u8]> = self.values().map(<[u8; 32]>::as_slice).collect();
        sha256(&values)
    }
}

/// What a register holds after `digest` is extended into it.
pub fn extend(register: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    sha256(&[register, digest])
}

/// Some registers of the SHA-256 bank.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PcrSelection(u32);

impl PcrSelection {
    /// These registers.
    pub fn of(registers: impl IntoIterator<Item = u8>) -> Result<Self, Malformed> {
        let mut bits = 0;
        for register in registers {
            if register >= COUNT {
                return Err(Malformed("there is no such register"));
            }
            bits |= 1 << register;
        }
        Ok(Self(bits))
    }

    /// The registers, in ascending order.
    pub fn registers(self) -> impl Iterator<Item = u8> {
        (0..COUNT).filter(move |register| self.has(*register))
    }

    /// Whether a register is among them.
    pub fn has(self, register: u8) -> bool {
        register < COUNT && self.0 >> register & 1 == 1
    }

    /// How many they are.
    pub fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Those of them that have no value yet.
    pub(crate) fn without(self, values: &PcrValues) -> Self {
        Self(values.keys().fold(self.0, |bits, register| bits & !(1 << register)))
    }

    /// A `TPML_PCR_SELECTION` of one bank.
    pub(crate) fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        if reader.u32()? != 1 {
            return Err(Malformed("it is not about one bank of registers"));
        }
        reader.expect_u16(algorithm::SHA256, "it is about a bank other than SHA-256")?;
        if reader.u8()? != 3 {
            return Err(Malformed("it does not select among 24 registers"));
        }
        let [low, middle, high] = reader.array()?;
        Ok(Self(u32::from_le_bytes([low, middle, high, 0])))
    }

    pub(crate) fn write(self, writer: Writer) -> Writer {
        writer.u32(1).u16(algorithm::SHA256).u8(3).bytes(&self.0.to_le_bytes()[..3])
    }
}

impl fmt::Debug for PcrSelection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.registers()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_selection_reads_back_as_it_was_written(registers in proptest::collection::btree_set(0..COUNT, 0..24)) {
            let selection = PcrSelection::of(registers.iter().copied()).unwrap();

            let written = selection.write(Writer::new());
            let read = PcrSelection::read(&mut Reader::new(written.as_slice()));

            prop_assert_eq!(read, Ok(selection));
            prop_assert_eq!(selection.count(), registers.len());
            prop_assert!(selection.registers().eq(registers));
        }

        #[test]
        fn no_bytes_make_a_selection_panic(bytes in any::<Vec<u8>>()) {
            let _ = PcrSelection::read(&mut Reader::new(&bytes));
        }
    }

    #[test]
    fn a_register_that_no_tpm_has_is_refused() {
        assert!(PcrSelection::of([4, 24]).is_err());
    }
}
