use std::fmt;

use crate::{
    Hash, NoteError, ProofError, SignerKey, Tiles, VerifierKey, note, proof::prove_consistency, proof::prove_inclusion,
    proof::verify_consistency, proof::verify_inclusion,
};

const COUNTER: &str = "counter ";

/// What a log says of itself: C2SP tlog-checkpoint.
///
/// Text form: the text of the signed note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log it is.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
    /// The lines behind, none of them empty.
    pub extensions: Vec<String>,
}

/// Why a checkpoint is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It is signed, and is not a checkpoint.
    #[error("it is no checkpoint: {0}")]
    Malformed(&'static str),
    /// It is not the signed note that it has to be.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It is that of another log.
    #[error("it is the checkpoint of another log")]
    OtherOrigin,
}

impl Checkpoint {
    /// A checkpoint of `size` entries under `root`, which tells the value of the log's counter, if it has one.
    pub fn new(origin: &str, size: u64, root: Hash, counter: Option<u64>) -> Self {
        let extensions = counter.map(|counter| format!("{COUNTER}{counter}")).into_iter().collect();
        Self { origin: origin.to_owned(), size, root, extensions }
    }

    /// The checkpoint in the signed `note`, which the log's own `key` has signed.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(key.open(note)?)?;
        if checkpoint.origin == key.name() { Ok(checkpoint) } else { Err(CheckpointError::OtherOrigin) }
    }

    /// The checkpoint in the signed `note`, whoever has signed it.
    pub fn open_unverified(note: &str) -> Result<Self, CheckpointError> {
        Self::parse(note::unverified_text(note)?)
    }

    /// Signs it as the log whose name the key has.
    pub fn sign(&self, key: &SignerKey) -> Result<String, NoteError> {
        key.sign(&self.to_string())
    }

    /// The value of the counter that only goes up, where the log has one.
    pub fn counter(&self) -> Option<u64> {
        self.extensions.iter().find_map(|line| decimal(line.strip_prefix(COUNTER)?))
    }

    /// Verifies that `leaf` is the entry at `index` of this log, by the tiles of
    /// [`tiles_for_inclusion`](crate::tiles_for_inclusion).
    pub fn verify_included(&self, index: u64, leaf: &[u8], tiles: &Tiles) -> Result<(), ProofError> {
        let proof = prove_inclusion(index, self.size, tiles)?;
        verify_inclusion(index, &Hash::of_leaf(leaf), self.size, &self.root, &proof)
    }

    /// Verifies that this log begins with all that `older` had, by the tiles of
    /// [`tiles_for_consistency`](crate::tiles_for_consistency).
    pub fn verify_consistent(&self, older: &Self, tiles: &Tiles) -> Result<(), ProofError> {
        let proof = prove_consistency(older.size, self.size, tiles)?;
        verify_consistency((older.size, &older.root), (self.size, &self.root), &proof)
    }

    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let mut lines = text.strip_suffix('\n').ok_or(malformed("its last line has no end"))?.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let origin = next().ok_or(malformed("the first line is the log's name"))?.to_owned();
        let size = next().and_then(decimal).ok_or(malformed("the second line is the number of entries"))?;
        let root = next().and_then(Hash::parse).ok_or(malformed("the third line is the root, in base64"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(malformed("it has an empty line"));
        }
        let mut counters = extensions.iter().filter(|line| line.starts_with(COUNTER));
        if counters.next().is_some_and(|line| decimal(&line[COUNTER.len()..]).is_none()) || counters.next().is_some() {
            return Err(malformed("its counter is one number"));
        }
        Ok(Self { origin, size, root, extensions })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

/// A number without a sign or leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        tiles_for_consistency, tiles_for_inclusion,
        tree::tests::{leaf, tree},
    };

    fn key() -> SignerKey {
        SignerKey::from_seed("log.example", &[7; 32]).unwrap()
    }

    fn checkpoint(size: u64) -> (Checkpoint, Tiles) {
        let (tree, tiles) = tree(size);
        (Checkpoint::new("log.example", size, tree.root(), Some(42)), tiles)
    }

    #[test]
    fn a_checkpoint_reads_back_with_its_counter() {
        let (checkpoint, _) = checkpoint(20);
        let note = checkpoint.sign(&key()).unwrap();

        let opened = Checkpoint::open(&note, key().verifier()).unwrap();

        assert_eq!(opened, checkpoint);
        assert_eq!((opened.counter(), Checkpoint::open_unverified(&note)), (Some(42), Ok(checkpoint)));
        assert!(
            note.starts_with("log.example\n20\n") && note.contains("=\ncounter 42\n\n\u{2014} log.example "),
            "{note}"
        );
    }

    #[test]
    fn a_checkpoint_shows_its_leaves_and_what_it_had_before() {
        let (older, _) = checkpoint(300);
        let (newer, all) = checkpoint(1000);

        newer.verify_included(7, &7_u64.to_be_bytes(), &all).unwrap();
        newer.verify_consistent(&older, &all).unwrap();

        assert!(tiles_for_inclusion(7, 1000).iter().all(|id| all.contains(*id)));
        assert!(tiles_for_consistency(300, 1000).iter().all(|id| all.contains(*id)));
        assert_eq!(newer.verify_included(8, &7_u64.to_be_bytes(), &all), Err(ProofError::Wrong));
        assert_eq!(older.verify_consistent(&newer, &all), Err(ProofError::TooSmall { size: 300, wanted: 1000 }));
        let forked = Checkpoint { root: leaf(0), ..older };
        assert_eq!(newer.verify_consistent(&forked, &all), Err(ProofError::Wrong));
    }

    #[test]
    fn what_is_signed_and_no_checkpoint_is_refused() {
        let root = leaf(0);
        for text in [
            "\n".to_owned(),
            "log.example\n".to_owned(),
            "log.example\n1\n".to_owned(),
            format!("\n1\n{root}\n"),
            format!("log.example\n01\n{root}\n"),
            format!("log.example\n+1\n{root}\n"),
            format!("log.example\n-1\n{root}\n"),
            format!("log.example\n18446744073709551616\n{root}\n"),
            "log.example\n1\nAAAA\n".to_owned(),
            format!("log.example\n1\n{root}\ncounter 01\n"),
            format!("log.example\n1\n{root}\ncounter 1\ncounter 2\n"),
        ] {
            let note = key().sign(&text).unwrap();

            assert!(matches!(Checkpoint::open(&note, key().verifier()), Err(CheckpointError::Malformed(_))), "{text}");
        }
        let other = key().sign(&format!("other.example\n1\n{root}\n")).unwrap();
        assert_eq!(Checkpoint::open(&other, key().verifier()), Err(CheckpointError::OtherOrigin));
    }

    proptest! {
        #[test]
        fn a_change_of_any_byte_is_refused(position in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
            let mut note = checkpoint(20).0.sign(&key()).unwrap().into_bytes();
            let length = note.len();
            note[position.index(length)] ^= flip;

            if let Ok(note) = String::from_utf8(note) {
                prop_assert!(Checkpoint::open(&note, key().verifier()).is_err());
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic_and_what_it_reads_it_writes(text in "[a-z]{0,3}\n[0-9]{0,3}\n(AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=)?\n(counter [0-9]{0,2}\n)?", any: String) {
            for text in [text, any] {
                if let Ok(checkpoint) = Checkpoint::parse(&text) {
                    prop_assert_eq!(checkpoint.to_string(), text);
                }
            }
        }
    }
}
