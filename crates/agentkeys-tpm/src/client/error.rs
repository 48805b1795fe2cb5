use std::{fmt, io};

use super::Command;
use crate::reader::Malformed;

/// Why a TPM has not done what it was asked for. Never says a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// An earlier failure has left the connection unusable: open it anew.
    #[error("the connection to the TPM is broken")]
    Broken,
    /// The counter has moved on since the secret was sealed.
    #[error("the minimum release was raised after the secret was sealed")]
    CounterMoved,
    /// A cryptographic primitive failed.
    #[error("what goes to the TPM could not be encrypted")]
    Cryptography,
    /// The index of a counter or a record is taken by something else.
    #[error("the index {0:#010x} of the TPM is used for something else")]
    ForeignIndex(u32),
    /// An answer is not what it should be.
    #[error("the TPM's answer to {command} makes no sense")]
    Malformed {
        /// What was asked for.
        command: Command,
        /// What is wrong with it.
        #[source]
        source: Malformed,
    },
    /// The release is too old: it was never approved for the epoch for which the secret was sealed.
    #[error("the release is older than the minimum for which the secret was sealed")]
    OldRelease,
    /// There is no TPM there.
    #[error("cannot open the TPM at `{place}`")]
    Open {
        /// Where it was looked for.
        place: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The TPM has said no.
    #[error("the TPM refused {command}: {cause}")]
    Refused {
        /// What was asked for.
        command: Command,
        /// What it said.
        cause: Cause,
    },
    /// The machine has not started what was approved of, or the secret was unsealed already.
    #[error("the registers are not those that the release key has approved of")]
    Registers,
    /// The secret was sealed by another TPM, or by this one before it was cleared.
    #[error("the secret was sealed by another TPM, or before this one was cleared")]
    SealedElsewhere,
    /// The secret is empty or longer than a TPM seals.
    #[error("a TPM seals 1 to 128 bytes")]
    Secret,
    /// An answer was changed on its way.
    #[error("the TPM's answer to {0} was changed on its way")]
    Tampered(Command),
    /// The TPM cannot be reached any more.
    #[error("the TPM did not answer {command}")]
    Transport {
        /// What was asked for.
        command: Command,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

/// What a TPM has answered instead of doing it (`TPM_RC`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cause(pub u32);

impl Cause {
    pub(super) const AUTH_FAIL: u32 = 0x08E;
    pub(super) const HANDLE: u32 = 0x08B;
    pub(super) const INTEGRITY: u32 = 0x09F;
    pub(super) const NV_UNINITIALIZED: u32 = 0x14A;
    pub(super) const POLICY: u32 = 0x126;
    pub(super) const SIGNATURE: u32 = 0x09B;
    pub(super) const VALUE: u32 = 0x084;

    /// The code without which handle, parameter or session it is about.
    pub fn kind(self) -> u32 {
        if self.0 & 0x80 == 0 { self.0 } else { self.0 & 0xBF }
    }

    fn meaning(self) -> &'static str {
        match self.kind() {
            0x100 => "it was not started up",
            0x101 => "it is in failure mode",
            0x902 => "it has no room for another object",
            0x903 => "it has no room for another session",
            0x920 => "its memory is written too often",
            0x921 => "it is locked after failed attempts",
            0x922 => "it wants to be asked again",
            0x923 => "its memory cannot be written now",
            Self::AUTH_FAIL | 0x0A2 => "the password is wrong",
            Self::HANDLE => "there is nothing at the handle",
            Self::INTEGRITY => "what is to be loaded is not its own",
            Self::NV_UNINITIALIZED => "the index was not written yet",
            Self::POLICY => "the policy's condition does not hold",
            Self::SIGNATURE => "the signature is not valid",
            Self::VALUE => "a value is not acceptable",
            0x09D => "the policy is not fulfilled",
            0x148 => "the index is locked",
            0x149 => "the index may not be used so",
            0x14B => "there is no room in its memory",
            0x14C => "the index is there already",
            _ => "see the TPM 2.0 Library, Part 2, section 6.6",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (code {:#05x})", self.meaning(), self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cause({self})")
    }
}

impl TpmError {
    /// Whether the TPM refused `command` for a cause of this kind.
    pub(super) fn is(&self, wanted: Command, kind: u32) -> bool {
        matches!(self, Self::Refused { command, cause } if *command == wanted && cause.kind() == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_of_its_kind_whatever_it_is_about() {
        for (code, kind) in [(0x18B, Cause::HANDLE), (0x1DF, Cause::INTEGRITY), (0x1C4, Cause::VALUE), (0x126, 0x126)] {
            assert_eq!(Cause(code).kind(), kind, "{code:#x}");
        }
    }

    #[test]
    fn a_refusal_says_what_it_means_and_its_code() {
        let refused = TpmError::Refused { command: Command::ActivateCredential, cause: Cause(0x921) };

        assert_eq!(
            refused.to_string(),
            "the TPM refused TPM2_ActivateCredential: it is locked after failed attempts (code 0x921)"
        );
    }
}
