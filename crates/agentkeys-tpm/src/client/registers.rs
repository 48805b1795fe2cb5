use super::{
    Tpm, TpmError,
    command::{Authorization, Command, Request},
};
use crate::{
    approval::{CAPPED_PCR, cap_digest},
    structures::{PcrSelection, PcrValues, algorithm},
};

impl Tpm {
    /// What registers hold.
    pub fn pcrs(&mut self, selection: PcrSelection) -> Result<PcrValues, TpmError> {
        let mut values = PcrValues::new();
        loop {
            let missing = selection.without(&values);
            if missing.count() == 0 {
                return Ok(values);
            }
            let reply = self.call(Request::new(Command::PcrRead), |request| missing.write(request))?;
            let read = reply.read(|reader| {
                // How often any register has changed.
                reader.u32()?;
                let given = PcrSelection::read(reader)?;
                let count = reader.u32()?;
                let digests = (0..count.min(8)).map(|_| reader.sized(32)).collect::<Result<Vec<_>, _>>()?;
                Ok((given, digests))
            })?;
            let (given, digests) = read;
            if digests.is_empty() || given.count() != digests.len() {
                return Err(reply.malformed("it has no bank of SHA-256"));
            }
            for (register, digest) in given.registers().zip(digests) {
                let value = digest.try_into().map_err(|_| reply.malformed("a digest is not of SHA-256"))?;
                if !missing.has(register) {
                    return Err(reply.malformed("a register came that was not asked for"));
                }
                values.insert(register, value);
            }
        }
    }

    /// Extends a register by a digest.
    pub fn extend_pcr(&mut self, register: u8, digest: &[u8; 32]) -> Result<(), TpmError> {
        let handles = [u32::from(register)];
        let request = Request::new(Command::PcrExtend).about(&handles).allowed(&[Authorization::Empty]);
        self.call(request, |request| request.u32(1).u16(algorithm::SHA256).bytes(digest)).map(|_| ())
    }

    /// Lets nothing that is sealed to an approval be unsealed until the machine starts again.
    pub fn cap(&mut self) -> Result<(), TpmError> {
        self.extend_pcr(CAPPED_PCR, &cap_digest())
    }
}
