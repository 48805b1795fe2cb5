use super::{
    Tpm, TpmError,
    command::{Authorization, Command, Request},
    error::Cause,
    objects::OWNER,
};
use crate::structures::{NvCounter, size_of_index};

/// As many bytes of an index as every TPM gives at once.
const CHUNK: usize = 512;
/// As long as an index may be.
const LONGEST_INDEX: usize = 8192;

/// A counter of a TPM, which only goes up.
#[derive(Debug)]
pub struct Counter<'a> {
    tpm: &'a mut Tpm,
    counter: NvCounter,
}

impl Tpm {
    /// One of its counters, whether it is there or not.
    pub fn counter(&mut self, counter: NvCounter) -> Counter<'_> {
        Counter { tpm: self, counter }
    }

    /// All that is at an index that everybody may read, if it is there.
    pub(super) fn read_index(&mut self, index: u32) -> Result<Option<Vec<u8>>, TpmError> {
        let Some(public) = self.index_public(index)? else { return Ok(None) };
        let size = size_of_index(&public);
        let size = size.map_err(|source| TpmError::Malformed { command: Command::NvReadPublic, source })?;
        let mut bytes = Vec::new();
        while bytes.len() < size.min(LONGEST_INDEX) {
            let chunk = (size - bytes.len()).min(CHUNK);
            let (length, offset) = (chunk.try_into().unwrap_or(0), bytes.len().try_into().unwrap_or(0));
            bytes.extend(self.read_chunk(index, length, offset)?);
        }
        Ok(Some(bytes))
    }

    pub(super) fn read_chunk(&mut self, index: u32, length: u16, offset: u16) -> Result<Vec<u8>, TpmError> {
        let handles = [index, index];
        let request = Request::new(Command::NvRead).about(&handles).allowed(&[Authorization::Empty]);
        let reply = self.call(request, |request| request.u16(length).u16(offset))?;
        let bytes = reply.read(|reader| reader.sized(CHUNK))?;
        if bytes.len() != usize::from(length) {
            return Err(reply.malformed("an index is shorter than it says"));
        }
        Ok(bytes.to_vec())
    }

    /// Makes room for an index with this public area, whose password is empty.
    pub(super) fn define_index(&mut self, public: &[u8]) -> Result<(), TpmError> {
        let request = Request::new(Command::NvDefineSpace).about(&[OWNER]).allowed(&[Authorization::Empty]);
        self.call(request, |request| request.sized(&[]).sized(public)).map(|_| ())
    }

    /// The public area of an index, if it is there.
    pub(super) fn index_public(&mut self, index: u32) -> Result<Option<Vec<u8>>, TpmError> {
        let handles = [index];
        match self.call(Request::new(Command::NvReadPublic).about(&handles), |request| request) {
            Ok(reply) => reply.read(|reader| reader.sized(256)).map(|public| Some(public.to_vec())),
            Err(error) if error.is(Command::NvReadPublic, Cause::HANDLE) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Counter<'_> {
    /// Whether it is there: somebody has counted with it, or meant to.
    pub fn exists(&mut self) -> Result<bool, TpmError> {
        match self.tpm.index_public(self.counter.index())? {
            Some(public) if [true, false].map(|written| self.counter.public(written)).contains(&public) => Ok(true),
            Some(_) => Err(TpmError::ForeignIndex(self.counter.index())),
            None => Ok(false),
        }
    }

    /// How far it has counted; nothing where it is not there, or has never counted.
    pub fn read(&mut self) -> Result<Option<u64>, TpmError> {
        if !self.exists()? {
            return Ok(None);
        }
        let bytes = match self.tpm.read_chunk(self.counter.index(), 8, 0) {
            Ok(bytes) => bytes,
            Err(error) if error.is(Command::NvRead, Cause::NV_UNINITIALIZED) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Just as many bytes were asked for, and came.
        Ok(bytes.try_into().ok().map(u64::from_be_bytes))
    }

    /// Counts one further, and makes it first where it is not there; gives the new value.
    pub fn increment(&mut self) -> Result<u64, TpmError> {
        if !self.exists()? {
            self.tpm.define_index(&self.counter.public(false))?;
        }
        let handles = [self.counter.index(); 2];
        let request = Request::new(Command::NvIncrement).about(&handles).allowed(&[Authorization::Empty]);
        self.tpm.call(request, |request| request)?;
        self.read()?.ok_or(TpmError::ForeignIndex(self.counter.index()))
    }
}
