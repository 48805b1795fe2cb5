//! A TPM that is there: commands over a device or a socket (TPM 2.0 Library, Part 3).

mod attesting;
mod command;
mod counting;
mod error;
mod link;
mod objects;
mod recording;
mod registers;
mod sealing;
mod session;

use std::fmt;

use zeroize::Zeroizing;

use self::{
    command::{Reply, Request},
    link::Link,
};
use crate::writer::Writer;

pub use self::{
    attesting::Quoted,
    command::Command,
    counting::Counter,
    error::{Cause, TpmError},
    recording::Record,
    sealing::SealedSecret,
};

/// A connection to a TPM.
///
/// Its methods block. What a method has loaded into the TPM is gone when the method returns, also where it fails.
/// The passwords of the TPM's hierarchies must be empty, as they are on a machine of its own.
pub struct Tpm {
    link: Link,
    /// Whether an answer may still be under way, which would be taken for that of the next command.
    broken: bool,
}

impl Tpm {
    /// Connects: `unix:` and a path, `tcp:` and host and port, or the path of a device (`/dev/tpmrm0`).
    ///
    /// Behind a socket, this end is the only client: whatever one that was killed has left loaded is thrown out.
    pub fn open(place: &str) -> Result<Self, TpmError> {
        Self::over(Link::open(place)?)
    }

    fn over(link: Link) -> Result<Self, TpmError> {
        let shared = link.is_shared();
        let mut tpm = Self { link, broken: false };
        if !shared {
            tpm.flush_leftovers()?;
        }
        Ok(tpm)
    }

    /// Random bytes of the TPM's own.
    ///
    /// They are not encrypted on their way: mix them with others.
    pub fn random(&mut self) -> Result<Zeroizing<[u8; 32]>, TpmError> {
        let mut random = Zeroizing::new([0; 32]);
        let mut have = 0;
        while have < random.len() {
            let missing = random.len() - have;
            let wanted = u16::try_from(missing).unwrap_or(u16::MAX);
            let reply = self.call(Request::new(Command::GetRandom), |request| request.u16(wanted))?;
            let bytes = reply.read(|reader| reader.sized(missing))?;
            if bytes.is_empty() {
                return Err(reply.malformed("no random bytes came"));
            }
            random[have..have + bytes.len()].copy_from_slice(bytes);
            have += bytes.len();
        }
        Ok(random)
    }

    /// Does something with what is loaded at `handle`, and throws it out then.
    fn holding<T>(&mut self, handle: u32, run: impl FnOnce(&mut Self) -> Result<T, TpmError>) -> Result<T, TpmError> {
        let done = run(self);
        let flushed = self.flush(handle);
        let done = done?;
        flushed?;
        Ok(done)
    }

    fn flush(&mut self, handle: u32) -> Result<(), TpmError> {
        self.call(Request::new(Command::FlushContext), |request| request.u32(handle)).map(|_| ())
    }

    fn flush_leftovers(&mut self) -> Result<(), TpmError> {
        const HANDLES: u32 = 1;
        const LOADED_SESSIONS: u32 = 0x0200_0000;
        const TRANSIENT_OBJECTS: u32 = 0x8000_0000;
        const MOST: u32 = 64;
        for first in [LOADED_SESSIONS, TRANSIENT_OBJECTS] {
            let request = Request::new(Command::GetCapability);
            let reply = self.call(request, |request| request.u32(HANDLES).u32(first).u32(MOST))?;
            let handles = reply.read(|reader| {
                // Whether there are more, and what was asked for.
                reader.bytes(1 + 4)?;
                (0..reader.u32()?.min(MOST)).map(|_| reader.u32()).collect::<Result<Vec<_>, _>>()
            })?;
            for handle in handles {
                self.flush(handle)?;
            }
        }
        Ok(())
    }

    /// Sends one command, with passwords at most, and waits for its answer.
    fn call(&mut self, request: Request<'_>, parameters: impl FnOnce(Writer) -> Writer) -> Result<Reply, TpmError> {
        let parameters = parameters(Writer::new());
        self.transact(&request, parameters.as_slice())
    }

    fn transact(&mut self, request: &Request<'_>, parameters: &[u8]) -> Result<Reply, TpmError> {
        if self.broken {
            return Err(TpmError::Broken);
        }
        self.broken = true;
        let answer = self.link.exchange(request.marshal(parameters).as_slice());
        let answer = answer.map_err(|source| TpmError::Transport { command: request.command, source })?;
        let reply = Reply::parse(request, &answer);
        // An answer that has come in whole leaves nothing behind.
        self.broken = false;
        reply
    }
}

impl fmt::Debug for Tpm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tpm").field("broken", &self.broken).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod hostile;
