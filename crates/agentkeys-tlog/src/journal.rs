use sha2::{Digest, Sha256};

/// The lengths of entries and note, the SHA-256 of both, and 8 bytes of the SHA-256 of all that.
const HEADER: usize = 8 + 32 + 8;
/// So many zeros in a row stand nowhere in what is written, and only where it never was.
const HOLE: [u8; 16] = [0; 16];

/// Frames a group of entries, and the signed checkpoint of a log that ends with them, for a journal.
///
/// `None` when they are longer than four bytes can tell.
pub fn frame(entries: &[u8], note: &str) -> Option<Vec<u8>> {
    let mut group = Vec::with_capacity(HEADER + entries.len() + note.len());
    group.extend_from_slice(&u32::try_from(entries.len()).ok()?.to_be_bytes());
    group.extend_from_slice(&u32::try_from(note.len()).ok()?.to_be_bytes());
    group.extend_from_slice(&Sha256::new().chain_update(entries).chain_update(note).finalize());
    let check = Sha256::digest(&group);
    group.extend_from_slice(&check[..8]);
    group.extend_from_slice(entries);
    group.extend_from_slice(note.as_bytes());
    Some(group)
}

/// What a journal begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'j> {
    /// A group, and what follows it.
    Group { entries: &'j [u8], note: &'j str, rest: &'j [u8] },
    /// The end.
    End,
    /// A group that was not written to its end.
    Torn,
    /// Something that nobody wrote.
    Broken,
}

impl<'j> Next<'j> {
    pub(crate) fn of(journal: &'j [u8]) -> Self {
        if journal.is_empty() {
            return Self::End;
        }
        Self::group(journal).unwrap_or_else(|| {
            let is_holed = journal.windows(HOLE.len()).any(|bytes| bytes == HOLE);
            if is_short(journal) || is_holed { Self::Torn } else { Self::Broken }
        })
    }

    fn group(journal: &'j [u8]) -> Option<Self> {
        let (entries, note) = lengths(journal)?;
        let body = &journal[HEADER..];
        let (body, rest) = body.split_at_checked(entries.checked_add(note)?)?;
        if journal[8..40] != *Sha256::digest(body) {
            return None;
        }
        let (entries, note) = body.split_at(entries);
        Some(Self::Group { entries, note: std::str::from_utf8(note).ok()?, rest })
    }
}

/// Whether it ends before it should, as far as it can be trusted to say.
fn is_short(journal: &[u8]) -> bool {
    journal.len() < HEADER
        || lengths(journal).is_some_and(|(entries, note)| journal.len() - HEADER < entries.saturating_add(note))
}

fn lengths(journal: &[u8]) -> Option<(usize, usize)> {
    let (header, check) = journal.get(..HEADER)?.split_at(HEADER - 8);
    let length = |at: usize| Some(u32::from_be_bytes(*header.get(at..at + 4)?.first_chunk()?) as usize);
    (Sha256::digest(header)[..8] == *check).then_some((length(0)?, length(4)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_reads_back_and_is_torn_at_every_byte_before_its_end() {
        let group = frame(b"entries", "note").unwrap();
        let two = [group.clone(), group.clone()].concat();

        assert_eq!(Next::of(&two), Next::Group { entries: b"entries", note: "note", rest: &group });
        assert_eq!(Next::of(b""), Next::End);
        for length in 1..group.len() {
            assert_eq!(Next::of(&group[..length]), Next::Torn, "{length}");
        }
    }

    #[test]
    fn a_group_of_which_a_part_was_never_written_is_torn() {
        let mut group = frame(&[b'e'; 2000], "note").unwrap();
        group[500..1000].fill(0);

        assert_eq!(Next::of(&group), Next::Torn);
        assert_eq!(Next::of(&[0; 100]), Next::Torn);
    }

    proptest! {
        #[test]
        fn a_change_of_any_byte_is_found(position in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
            let mut group = frame(b"entries", "note").unwrap();
            let length = group.len();
            group[position.index(length)] ^= flip;

            prop_assert_eq!(Next::of(&group), Next::Broken);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = Next::of(&bytes);
        }
    }
}
