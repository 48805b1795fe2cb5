use super::PcrSelection;
use crate::reader::{Malformed, Reader};

/// What everything that a TPM attests begins with: nothing else that it signs does.
const MAGIC: u32 = 0xFF54_4347;
/// A quote, among all that it can attest.
const QUOTE: u16 = 0x8018;

/// What a TPM says about its registers (`TPMS_ATTEST` of a quote).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Which key has signed, qualified by its ancestors.
    pub qualified_signer: Vec<u8>,
    /// What the caller wanted said with it.
    pub extra_data: Vec<u8>,
    /// The TPM's clock.
    pub clock: ClockInfo,
    /// The version of the TPM's own software.
    pub firmware_version: u64,
    /// Which registers are quoted.
    pub selection: PcrSelection,
    /// The digest of their values.
    pub pcr_digest: [u8; 32],
}

/// The TPM's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockInfo {
    /// For how many milliseconds the TPM has had power.
    pub clock: u64,
    /// How often the machine has been started.
    pub reset_count: u32,
    /// How often it was resumed since.
    pub restart_count: u32,
    /// Whether the clock has surely not been lower before; false for a while after an unclean stop.
    pub safe: bool,
}

impl Quote {
    /// Reads a `TPMS_ATTEST`, all of it; refuses anything but a quote of the SHA-256 bank.
    pub fn parse(attest: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(attest);
        if reader.u32()? != MAGIC {
            return Err(Malformed("it was not made by a TPM"));
        }
        reader.expect_u16(QUOTE, "it is not a quote")?;
        let qualified_signer = reader.sized(66)?.to_vec();
        let extra_data = reader.sized(64)?.to_vec();
        let clock = ClockInfo::read(&mut reader)?;
        let firmware_version = reader.u64()?;
        let selection = PcrSelection::read(&mut reader)?;
        let pcr_digest = reader.sized(32)?.try_into().map_err(|_| Malformed("a digest is not of SHA-256"))?;
        reader.end()?;
        Ok(Self { qualified_signer, extra_data, clock, firmware_version, selection, pcr_digest })
    }
}

impl ClockInfo {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let (clock, reset_count, restart_count) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let safe = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed("neither yes nor no")),
        };
        Ok(Self { clock, reset_count, restart_count, safe })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::writer::Writer;

    fn quote(selection: PcrSelection) -> Vec<u8> {
        let writer = Writer::new().u32(MAGIC).u16(QUOTE).sized(&[7; 34]).sized(&[8; 32]);
        let writer = writer.u64(1000).u32(3).u32(1).u8(1).u64(0x0102);
        selection.write(writer).sized(&[9; 32]).to_vec()
    }

    fn usual() -> Vec<u8> {
        quote(PcrSelection::of([4, 7, 11, 12]).unwrap())
    }

    #[test]
    fn a_quote_says_what_was_written() {
        let quote = Quote::parse(&usual()).unwrap();

        assert_eq!(quote.extra_data, [8; 32]);
        assert_eq!(quote.clock, ClockInfo { clock: 1000, reset_count: 3, restart_count: 1, safe: true });
        assert!(quote.selection.registers().eq([4, 7, 11, 12]));
        assert_eq!(quote.pcr_digest, [9; 32]);
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_refused() {
        let whole = usual();

        assert!((0..whole.len()).all(|length| Quote::parse(&whole[..length]).is_err()));
        assert!(Quote::parse(&[&whole[..], &[0]].concat()).is_err());
    }

    #[test]
    fn what_no_tpm_has_made_is_refused() {
        let mut forged = usual();
        forged[0] = 0;

        assert_eq!(Quote::parse(&forged), Err(Malformed("it was not made by a TPM")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = Quote::parse(&bytes);
        }

        #[test]
        fn no_changed_byte_makes_it_panic(at in 0..usual().len(), byte in any::<u8>()) {
            let mut bytes = usual();
            bytes[at] = byte;

            let _ = Quote::parse(&bytes);
        }
    }
}
