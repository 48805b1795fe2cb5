use std::collections::BTreeSet;

use agentkeys_api::{LogEntry, SigningEntry, SigningOutcome, headers};
use agentkeys_crypto::keccak256;
use agentkeys_tlog::{Checkpoint, TileId, Tiles, VerifierKey, tiles_for_consistency, tiles_for_inclusion};
use agentkeys_types::{EvmAddress, OmniAccount, SessionId};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::http::Answer;

/// Why the signing log is not the one that it must be: one sentence without its full stop.
pub(super) type Fault = String;

/// A signature that was asked for, as its entry in the log must tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signing<'a> {
    pub(crate) account: OmniAccount,
    pub(crate) address: EvmAddress,
    pub(crate) message: &'a [u8],
    pub(crate) session: SessionId,
}

/// A checkpoint that the log itself has signed, and the note that it stands in.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    checkpoint: Checkpoint,
    pub(super) note: String,
}

impl Seen {
    pub(super) fn open(note: &str, vkey: &str) -> Result<Self, Fault> {
        let key: VerifierKey = vkey.parse().map_err(|error| format!("its key cannot be used: {error}"))?;
        let checkpoint = Checkpoint::open(note, &key).map_err(|error| format!("its checkpoint is refused: {error}"))?;
        Ok(Self { checkpoint, note: note.to_owned() })
    }

    pub(super) fn size(&self) -> u64 {
        self.checkpoint.size
    }
}

/// The two ends of a log's way: what it was, and what it is.
#[derive(Debug)]
pub(super) struct Growth<'a> {
    older: &'a Seen,
    newer: &'a Seen,
}

impl<'a> Growth<'a> {
    /// Whichever of the two is the older one.
    pub(super) fn between(one: &'a Seen, other: &'a Seen) -> Self {
        let (older, newer) = if one.size() <= other.size() { (one, other) } else { (other, one) };
        Self { older, newer }
    }

    pub(super) fn tiles(&self) -> BTreeSet<TileId> {
        tiles_for_consistency(self.older.size(), self.newer.size())
    }

    pub(super) fn verify(&self, tiles: &Tiles) -> Result<(), Fault> {
        let consistent = self.newer.checkpoint.verify_consistent(&self.older.checkpoint, tiles);
        consistent.map_err(|error| format!("it does not go on from where it was last seen: {error}"))
    }
}

/// What shows that a signature was logged before it was given.
#[derive(Debug)]
pub(super) struct LoggedSigning {
    pub(super) seen: Seen,
    pub(super) index: u64,
    leaf: Vec<u8>,
}

impl LoggedSigning {
    /// Reads the receipt in the headers of an answer; the entry must say what was asked for.
    pub(super) fn read(answer: &Answer, vkey: &str, signing: &Signing<'_>) -> Result<Self, Fault> {
        let note =
            answer.header(headers::LOG_CHECKPOINT).ok_or("the signature came without a checkpoint of the log")?;
        let note = BASE64_STANDARD.decode(note).ok().and_then(|note| String::from_utf8(note).ok());
        let seen = Seen::open(&note.ok_or("the checkpoint cannot be read")?, vkey)?;
        let entry = answer.header(headers::LOG_ENTRY).ok_or("the signature came without its entry in the log")?;
        let (index, leaf) = entry.split_once(' ').ok_or("the entry cannot be read")?;
        let index = index.parse().map_err(|_| "the entry has no index")?;
        let leaf = BASE64_STANDARD.decode(leaf).map_err(|_| "the entry cannot be read")?;
        let logged = Self { seen, index, leaf };
        logged.tells(signing)?;
        Ok(logged)
    }

    fn tells(&self, signing: &Signing<'_>) -> Result<(), Fault> {
        let Some(LogEntry::Signing(entry)) = LogEntry::read(&self.leaf) else {
            return Err("the entry is not that of a signature".to_owned());
        };
        let SigningEntry { seq, account, address, message, session, outcome, .. } = entry;
        for (what, is_same) in [
            ("account", account == signing.account),
            ("address", address == signing.address),
            ("message", message == keccak256(signing.message)),
            ("session", session == signing.session),
            ("index", seq == self.index),
            ("outcome", outcome == SigningOutcome::Allowed),
        ] {
            if !is_same {
                return Err(format!("the entry of the signature has another {what}"));
            }
        }
        Ok(())
    }

    /// The tiles that show the entry.
    pub(super) fn tiles(&self) -> BTreeSet<TileId> {
        tiles_for_inclusion(self.index, self.seen.size())
    }

    pub(super) fn verify(&self, tiles: &Tiles) -> Result<(), Fault> {
        let included = self.seen.checkpoint.verify_included(self.index, &self.leaf, tiles);
        included.map_err(|error| format!("the entry is not in it: {error}"))
    }
}
