use std::io::{self, BufRead};

use sha2::{Digest, Sha256};

/// Stands before the hash, the last field of a line.
const HASH: &[u8] = br#","hash":""#;
const END: &[u8] = b"\"}\n";
/// From the fields' end to the line's end.
const TAIL: usize = HASH.len() + 64 + END.len();
/// Far longer than a line can be: a file without line ends must not fill the memory.
const LONGEST_LINE: u64 = 4096;

/// Why a chain of lines is not in order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// It is not what was written.
    #[error("line {line} is not what was written")]
    Broken {
        /// The first wrong line, counted from 1.
        line: u64,
    },
    /// It could not be read.
    #[error("the lines could not be read: {0}")]
    File(#[from] io::Error),
}

/// The hash of a line, and of all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainHead([u8; 32]);

impl ChainHead {
    /// Ends the line whose JSON object stands in `lines` from `start` on with its hash, and gives that.
    #[must_use]
    pub fn seal(self, lines: &mut Vec<u8>, start: usize) -> Self {
        // The object goes on.
        lines.pop();
        let head = self.next(&lines[start..]);
        lines.extend_from_slice(&head.tail());
        head
    }

    /// The hash of `line`, if it is the one that was written after this.
    fn follow(self, line: &[u8]) -> Option<Self> {
        let (fields, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
        let head = self.next(fields);
        (tail == head.tail()).then_some(head)
    }

    fn next(self, fields: &[u8]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(fields).finalize().into())
    }

    fn tail(self) -> [u8; TAIL] {
        let mut tail = [0; TAIL];
        tail[..HASH.len()].copy_from_slice(HASH);
        for (digits, byte) in tail[HASH.len()..].chunks_exact_mut(2).zip(self.0) {
            digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
        }
        tail[HASH.len() + 64..].copy_from_slice(END);
        tail
    }
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// What a chain turned out to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// How many entries stand in it, unbroken.
    pub entries: u64,
    /// How many bytes of an unfinished line follow them.
    pub torn: u64,
    /// How many bytes the entries take.
    pub length: u64,
    /// The hash of the last one.
    pub head: ChainHead,
}

/// Checks every line of a development signer's signing log, and shows each to `visit`.
///
/// Each line is a JSON object that ends with `"hash"`: the SHA-256 of the previous line's hash and of all that stands
/// before this one. Entries missing at the end can only be told from a copy of the last hash.
pub fn verify_chain(mut lines: impl BufRead, visit: &mut impl FnMut(&[u8])) -> Result<Chain, ChainError> {
    let mut chain = Chain::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = io::Read::take(&mut lines, LONGEST_LINE).read_until(b'\n', &mut line)? as u64;
        if !line.ends_with(b"\n") && length < LONGEST_LINE {
            chain.torn = length;
            return Ok(chain);
        }
        chain.head = chain.head.follow(&line).ok_or(ChainError::Broken { line: chain.entries + 1 })?;
        chain.length += length;
        chain.entries += 1;
        visit(&line);
    }
}
