use std::fmt;

use zeroize::Zeroizing;

use super::{TpmError, error::Cause};
use crate::{
    reader::{Malformed, Reader},
    writer::Writer,
};

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
/// The session that stands for a password.
const PASSWORD: u32 = 0x4000_0009;
/// The session goes on after the command.
pub(super) const CONTINUE: u8 = 1;

macro_rules! commands {
    ($($name:ident = $code:literal,)*) => {
        /// What a TPM can be asked to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is named as in the TPM 2.0 Library, Part 3")]
        #[repr(u32)]
        pub enum Command {
            $($name = $code,)*
        }

        impl fmt::Display for Command {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(match self {
                    $(Self::$name => concat!("TPM2_", stringify!($name)),)*
                })
            }
        }
    };
}

commands! {
    ActivateCredential = 0x0147,
    Create = 0x0153,
    CreatePrimary = 0x0131,
    FlushContext = 0x0165,
    GetCapability = 0x017A,
    GetRandom = 0x017B,
    Load = 0x0157,
    LoadExternal = 0x0167,
    NvDefineSpace = 0x012A,
    NvIncrement = 0x0134,
    NvRead = 0x014E,
    NvReadPublic = 0x0169,
    NvWrite = 0x0137,
    NvWriteLock = 0x0138,
    PcrExtend = 0x0182,
    PcrRead = 0x017E,
    PolicyAuthorize = 0x016A,
    PolicyNv = 0x0149,
    PolicyPcr = 0x017F,
    PolicySecret = 0x0151,
    Quote = 0x0158,
    ReadPublic = 0x0173,
    StartAuthSession = 0x0176,
    Unseal = 0x015E,
    VerifySignature = 0x0177,
}

impl Command {
    pub(super) fn code(self) -> u32 {
        self as u32
    }

    /// Whether its answer has a handle.
    fn gives_handle(self) -> bool {
        matches!(self, Self::CreatePrimary | Self::Load | Self::LoadExternal | Self::StartAuthSession)
    }
}

/// What allows a command to use one of its handles.
#[derive(Clone, Copy)]
pub(super) enum Authorization<'a> {
    /// An empty password.
    Empty,
    /// A policy session without a key.
    Policy(u32),
    /// A session with a key, as it was marshalled for this command.
    Session(&'a [u8]),
}

/// A command without its parameters.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) command: Command,
    handles: &'a [u32],
    authorizations: &'a [Authorization<'a>],
}

impl<'a> Request<'a> {
    /// A command about nothing that is in the TPM.
    pub(super) fn new(command: Command) -> Self {
        Self { command, handles: &[], authorizations: &[] }
    }

    /// The same about these.
    pub(super) fn about(self, handles: &'a [u32]) -> Self {
        Self { handles, ..self }
    }

    /// The same, allowed so to use the first ones of them.
    pub(super) fn allowed(self, authorizations: &'a [Authorization<'a>]) -> Self {
        Self { authorizations, ..self }
    }

    pub(super) fn marshal(&self, parameters: &[u8]) -> Writer {
        let mut body = Writer::new();
        for handle in self.handles {
            body = body.u32(*handle);
        }
        if !self.authorizations.is_empty() {
            let mut area = Writer::new();
            for authorization in self.authorizations {
                area = match authorization {
                    Authorization::Empty => area.u32(PASSWORD).sized(&[]).u8(0).sized(&[]),
                    Authorization::Policy(session) => area.u32(*session).sized(&[]).u8(CONTINUE).sized(&[]),
                    Authorization::Session(marshalled) => area.bytes(marshalled),
                };
            }
            body = body.long_sized(area.as_slice());
        }
        let body = body.bytes(parameters);
        let tag = if self.authorizations.is_empty() { NO_SESSIONS } else { SESSIONS };
        Writer::new().u16(tag).u32(10 + body.length()).u32(self.command.code()).bytes(body.as_slice())
    }
}

/// An answer to a command that was carried out.
pub(super) struct Reply {
    command: Command,
    handle: u32,
    parameters: Zeroizing<Vec<u8>>,
    /// What follows the parameters: one part for each session.
    sessions: Vec<u8>,
}

impl Reply {
    pub(super) fn parse(request: &Request<'_>, answer: &[u8]) -> Result<Self, TpmError> {
        let command = request.command;
        let mut reader = Reader::new(answer);
        let read = Self::unmarshal(request, &mut reader);
        match read.map_err(|source| TpmError::Malformed { command, source })? {
            Ok(reply) => Ok(reply),
            Err(code) => Err(TpmError::Refused { command, cause: Cause(code) }),
        }
    }

    /// The reply, or the code of a refusal.
    fn unmarshal(request: &Request<'_>, reader: &mut Reader) -> Result<Result<Self, u32>, Malformed> {
        let command = request.command;
        let tag = reader.u16()?;
        // The link has compared the size.
        reader.u32()?;
        let code = reader.u32()?;
        if code != 0 {
            return Ok(Err(code));
        }
        let handle = if command.gives_handle() { reader.u32()? } else { 0 };
        let (parameters, sessions) = if request.authorizations.is_empty() {
            if tag != NO_SESSIONS {
                return Err(Malformed("an answer has sessions that the command had not"));
            }
            (reader.rest(), &[][..])
        } else {
            if tag != SESSIONS {
                return Err(Malformed("an answer lacks the sessions of the command"));
            }
            let size = reader.u32()?;
            let size = usize::try_from(size).map_err(|_| Malformed("it ends early"))?;
            (reader.bytes(size)?, reader.rest())
        };
        Ok(Ok(Self { command, handle, parameters: Zeroizing::new(parameters.to_vec()), sessions: sessions.to_vec() }))
    }

    /// The handle of what was loaded.
    pub(super) fn handle(&self) -> u32 {
        self.handle
    }

    /// The first parameters; whatever follows is not asked for.
    pub(super) fn read<'a, T>(
        &'a self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<T, TpmError> {
        let mut reader = Reader::new(&self.parameters);
        read(&mut reader).map_err(|source| TpmError::Malformed { command: self.command, source })
    }

    pub(super) fn malformed(&self, reason: &'static str) -> TpmError {
        TpmError::Malformed { command: self.command, source: Malformed(reason) }
    }

    pub(super) fn parameters(&self) -> &[u8] {
        &self.parameters
    }

    pub(super) fn parameters_mut(&mut self) -> &mut [u8] {
        &mut self.parameters
    }

    pub(super) fn sessions(&self) -> &[u8] {
        &self.sessions
    }
}
