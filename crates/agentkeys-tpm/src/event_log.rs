use std::collections::BTreeSet;

use crate::{
    reader::{Malformed, Reader},
    structures::{PcrValues, extend},
};

/// An event that is logged, but extended into no register (`EV_NO_ACTION`).
const NO_ACTION: u32 = 3;
/// What the first event of a log with digests of several algorithms says.
const SPECIFICATION: &[u8] = b"Spec ID Event03\0";
/// What says from where the machine was started, and with it what register 0 begins with.
const STARTUP_LOCALITY: &[u8] = b"StartupLocality\0";
const SHA256: u16 = 0x000B;
/// More algorithms than any TPM has banks for.
const MOST_ALGORITHMS: u32 = 16;
const REGISTERS: u32 = 24;

/// What a machine's firmware has measured (`binary_bios_measurements`; TCG PC Client Platform Firmware Profile,
/// section 10), in the SHA-256 bank.
///
/// It proves nothing by itself, and explains registers that a quote has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLog {
    events: Vec<MeasuredEvent>,
}

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredEvent {
    /// Into which register.
    pub register: u8,
    /// What kind of thing it is.
    pub kind: u32,
    /// What was extended.
    pub digest: [u8; 32],
    /// What the firmware says about it; the digest is not always of this.
    pub description: Vec<u8>,
}

impl EventLog {
    /// Reads a log, all of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let algorithms = read_header(&mut reader)?;
        let mut events = Vec::new();
        while !reader.is_at_end() {
            events.push(MeasuredEvent::read(&mut reader, &algorithms)?);
        }
        Ok(Self { events })
    }

    /// What was measured, in order.
    pub fn events(&self) -> &[MeasuredEvent] {
        &self.events
    }

    /// What the registers that it mentions hold, if it is true and whole.
    pub fn replay(&self) -> PcrValues {
        let mut values = PcrValues::new();
        for event in &self.events {
            if event.kind != NO_ACTION {
                let value = values.entry(event.register).or_insert([0; 32]);
                *value = extend(value, &event.digest);
            } else if let Some([locality]) = event.description.strip_prefix(STARTUP_LOCALITY) {
                let mut start = [0; 32];
                start[31] = *locality;
                values.entry(0).or_insert(start);
            }
        }
        values
    }
}

impl MeasuredEvent {
    fn read(reader: &mut Reader, algorithms: &[(u16, u16)]) -> Result<Self, Malformed> {
        let (register, kind) = (read_register(reader)?, reader.u32_le()?);
        if usize::try_from(reader.u32_le()?) != Ok(algorithms.len()) {
            return Err(Malformed("an event has not one digest for each bank"));
        }
        let (mut sha256, mut seen) = (None, BTreeSet::new());
        for _ in algorithms {
            let algorithm = reader.u16_le()?;
            let known = algorithms.iter().find(|(known, _)| *known == algorithm);
            let (_, size) = known.ok_or(Malformed("an event has a digest for a bank that is not there"))?;
            if !seen.insert(algorithm) {
                return Err(Malformed("an event has two digests for one bank"));
            }
            let digest = reader.bytes(usize::from(*size))?;
            if algorithm == SHA256 {
                sha256 = digest.try_into().ok();
            }
        }
        let digest = sha256.ok_or(Malformed("an event has no digest of SHA-256"))?;
        Ok(Self { register, kind, digest, description: read_described(reader)?.to_vec() })
    }
}

/// Reads the first event, which has a form of its own; gives the banks, each with the size of its digests.
fn read_header(reader: &mut Reader) -> Result<Vec<(u16, u16)>, Malformed> {
    read_register(reader)?;
    if reader.u32_le()? != NO_ACTION || reader.array::<20>()? != [0; 20] {
        return Err(Malformed("a log does not begin with its specification"));
    }
    let mut header = Reader::new(read_described(reader)?);
    if header.bytes(SPECIFICATION.len())? != SPECIFICATION {
        return Err(Malformed("a log is not one with digests of several algorithms"));
    }
    // The class of the platform, the version of the specification, and the size of its integers.
    header.bytes(4 + 4)?;
    let count = header.u32_le()?;
    if count > MOST_ALGORITHMS {
        return Err(Malformed("a log has too many banks"));
    }
    let mut algorithms = Vec::new();
    for _ in 0..count {
        algorithms.push((header.u16_le()?, header.u16_le()?));
    }
    let unique: BTreeSet<u16> = algorithms.iter().map(|(algorithm, _)| *algorithm).collect();
    if unique.len() != algorithms.len() || !algorithms.contains(&(SHA256, 32)) {
        return Err(Malformed("a log has no bank of SHA-256, or one twice"));
    }
    let vendor = header.u8()?;
    header.bytes(usize::from(vendor))?;
    header.end()?;
    Ok(algorithms)
}

fn read_register(reader: &mut Reader) -> Result<u8, Malformed> {
    match reader.u32_le()? {
        register if register < REGISTERS => Ok(register.to_le_bytes()[0]),
        _ => Err(Malformed("an event is of a register that is not there")),
    }
}

fn read_described<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let size = usize::try_from(reader.u32_le()?).map_err(|_| Malformed("an event is too long"))?;
    reader.bytes(size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA1: u16 = 0x0004;

    fn header() -> Vec<u8> {
        let mut described = SPECIFICATION.to_vec();
        described.extend([0, 0, 0, 0, 0, 2, 0, 2]);
        described.extend(2_u32.to_le_bytes());
        for (algorithm, size) in [(SHA1, 20_u16), (SHA256, 32)] {
            described.extend(algorithm.to_le_bytes());
            described.extend(size.to_le_bytes());
        }
        described.push(0);
        let mut header = [0, 0, 0, 0, 3, 0, 0, 0].to_vec();
        header.extend([0; 20]);
        header.extend(u32::try_from(described.len()).unwrap().to_le_bytes());
        header.extend(described);
        header
    }

    fn event(register: u32, kind: u32, digest: [u8; 32], description: &[u8]) -> Vec<u8> {
        let mut event = Vec::new();
        event.extend(register.to_le_bytes());
        event.extend(kind.to_le_bytes());
        event.extend(2_u32.to_le_bytes());
        event.extend(SHA1.to_le_bytes());
        event.extend([5; 20]);
        event.extend(SHA256.to_le_bytes());
        event.extend(digest);
        event.extend(u32::try_from(description.len()).unwrap().to_le_bytes());
        event.extend(description);
        event
    }

    fn log() -> Vec<u8> {
        let events = [
            event(0, NO_ACTION, [0; 32], b"StartupLocality\0\x03"),
            event(0, 8, [1; 32], b"firmware"),
            event(4, 0x8000_0007, [2; 32], b"Calling EFI Application from Boot Option"),
            event(4, 4, [3; 32], &[0; 4]),
        ];
        [header(), events.concat()].concat()
    }

    #[test]
    fn replaying_gives_what_the_registers_hold() {
        let log = EventLog::parse(&log()).unwrap();

        let values = log.replay();

        let mut start = [0; 32];
        start[31] = 3;
        assert_eq!(log.events().len(), 4);
        assert_eq!(values[&0], extend(&start, &[1; 32]));
        assert_eq!(values[&4], extend(&extend(&[0; 32], &[2; 32]), &[3; 32]));
        assert_eq!(values.len(), 2);
    }

    #[test]
    fn a_log_that_is_cut_off_inside_of_an_event_is_refused() {
        let whole = log();
        let ends: BTreeSet<usize> = (0..=whole.len()).filter(|end| EventLog::parse(&whole[..*end]).is_ok()).collect();

        assert_eq!(ends.len(), 5, "after the header and after each of four events");
    }

    #[test]
    fn a_register_or_a_bank_that_is_not_there_is_refused() {
        let register = event(24, 8, [1; 32], b"");
        let mut bank = event(4, 8, [1; 32], b"");
        bank[12] = 0x0C;

        for wrong in [register, bank] {
            assert!(EventLog::parse(&[header(), wrong].concat()).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = EventLog::parse(&bytes);
            let _ = EventLog::parse(&[header(), bytes].concat());
        }

        #[test]
        fn no_changed_byte_makes_it_panic(at in 0..log().len(), byte in any::<u8>()) {
            let mut bytes = log();
            bytes[at] = byte;

            if let Ok(log) = EventLog::parse(&bytes) {
                log.replay();
            }
        }
    }
}
