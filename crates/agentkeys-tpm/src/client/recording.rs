use super::{
    Tpm, TpmError,
    command::{Authorization, Command, Request},
};
use crate::{
    approval::Approval,
    structures::{NvRecord, Written},
    writer::Writer,
};

/// What a TPM says of whose secret its machine has, written once by an approved release.
#[derive(Debug)]
pub struct Record<'a> {
    tpm: &'a mut Tpm,
    record: NvRecord,
}

impl Tpm {
    /// Its record, whether it was written or not.
    pub fn record(&mut self, record: NvRecord) -> Record<'_> {
        Record { tpm: self, record }
    }
}

impl Record<'_> {
    /// What it says; nothing where it was never written.
    pub fn read(&mut self) -> Result<Option<[u8; 32]>, TpmError> {
        let before = self.written()?;
        if matches!(before, None | Some(Written::Never)) {
            return Ok(None);
        }
        let content = self.tpm.read_chunk(self.record.index(), NvRecord::SIZE, 0)?;
        // What has its name now had it then: nobody who makes it anew gets that name back.
        if self.written()? != before {
            return Err(self.foreign());
        }
        content.try_into().map(Some).map_err(|_| self.foreign())
    }

    /// Writes it for ever, as a release with this approval.
    ///
    /// The TPM itself checks the approval and the registers, and that it was not written for ever before.
    pub fn write(&mut self, content: &[u8; 32], approval: &Approval) -> Result<(), TpmError> {
        if self.written()?.is_none() {
            self.tpm.define_index(&self.record.public(Written::Never))?;
        }
        self.change(Command::NvWrite, approval, |request| request.sized(content).u16(0))?;
        self.lock(approval)?;
        if self.read()? == Some(*content) { Ok(()) } else { Err(self.foreign()) }
    }

    /// Keeps for ever what was written, where a crash came in between.
    pub fn lock(&mut self, approval: &Approval) -> Result<(), TpmError> {
        match self.written()? {
            Some(Written::Once) => self.change(Command::NvWriteLock, approval, |request| request),
            Some(Written::ForEver) => Ok(()),
            Some(Written::Never) | None => Err(self.foreign()),
        }
    }

    /// How far its writing has come; nothing where there is no room for it.
    fn written(&mut self) -> Result<Option<Written>, TpmError> {
        let Some(public) = self.tpm.index_public(self.record.index())? else { return Ok(None) };
        self.record.written(&public).map(Some).ok_or_else(|| self.foreign())
    }

    fn change(
        &mut self,
        command: Command,
        approval: &Approval,
        parameters: impl FnOnce(Writer) -> Writer,
    ) -> Result<(), TpmError> {
        let session = self.tpm.start_plain_policy()?;
        let (handles, allowed) = ([self.record.index(); 2], [Authorization::Policy(session)]);
        self.tpm.holding(session, |tpm| {
            tpm.show_approval(session, approval, 0)?;
            let request = Request::new(command).about(&handles).allowed(&allowed);
            tpm.call(request, parameters).map(|_| ())
        })
    }

    fn foreign(&self) -> TpmError {
        TpmError::ForeignIndex(self.record.index())
    }
}
