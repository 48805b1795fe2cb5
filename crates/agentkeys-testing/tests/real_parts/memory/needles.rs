//! What a scan looks for, and how it finds it.

use std::collections::HashMap;

use super::forms::Form;

/// A piece of a secret this long is a find.
pub(crate) const WINDOW: usize = 16;
/// Any window holds one whole aligned word, wherever it lies: only those are looked at.
const WORD: usize = 8;

/// The secrets that are looked for.
pub(crate) struct Needles {
    secrets: Vec<Form>,
    /// Where each word of eight bytes stands: which secret, and at which byte of it.
    words: HashMap<u64, Vec<(usize, usize)>>,
    /// Whether a word of this hash may be among them: most of memory is told apart by this alone.
    hashes: Vec<bool>,
}

/// A piece of a secret in memory.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Which secret it is of.
    pub(crate) secret: String,
    /// Where in the secret it begins.
    pub(crate) from: usize,
    /// Where in memory it begins.
    pub(crate) at: usize,
    /// How long it is.
    pub(crate) length: usize,
}

impl Piece {
    /// How many windows lie in it.
    pub(crate) fn windows(&self) -> usize {
        self.length + 1 - WINDOW
    }
}

impl Needles {
    pub(crate) fn new(secrets: Vec<Form>) -> Self {
        let (mut words, mut hashes) = (HashMap::<_, Vec<_>>::new(), vec![false; 1 << 16]);
        for (index, (name, secret)) in secrets.iter().enumerate() {
            assert!(secret.len() >= 2 * WINDOW, "{name} is too short to look for");
            for (place, word) in secret.windows(WORD).enumerate() {
                let word = read_word(word);
                words.entry(word).or_default().push((index, place));
                hashes[hash(word)] = true;
            }
        }
        Self { secrets, words, hashes }
    }

    /// The first bytes of the first secret, as a piece to plant.
    pub(crate) fn piece(&self) -> [u8; WINDOW] {
        self.secrets[0].1[..WINDOW].try_into().unwrap()
    }

    /// Every piece of a secret that is in `memory`.
    pub(crate) fn find(&self, memory: &[u8]) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut seen = 0;
        for (number, word) in memory.chunks_exact(WORD).enumerate() {
            let word = read_word(word);
            let at = number * WORD;
            if !self.hashes[hash(word)] || at < seen {
                continue;
            }
            let places = self.words.get(&word).into_iter().flatten();
            let longest = places.map(|place| self.piece_around(memory, at, *place)).max_by_key(|piece| piece.length);
            if let Some(piece) = longest.filter(|piece| piece.length >= WINDOW) {
                seen = piece.at + piece.length;
                pieces.push(piece);
            }
        }
        pieces
    }

    /// How far the secret goes on to both sides of a word that belongs to it.
    fn piece_around(&self, memory: &[u8], at: usize, (index, place): (usize, usize)) -> Piece {
        let (name, secret) = &self.secrets[index];
        let equal = |(a, b): &(&u8, &u8)| a == b;
        let before = memory[..at].iter().rev().zip(secret[..place].iter().rev()).take_while(equal).count();
        let after = memory[at..].iter().zip(&secret[place..]).take_while(equal).count();
        Piece { secret: name.clone(), from: place - before, at: at - before, length: before + after }
    }
}

fn read_word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn hash(word: u64) -> usize {
    usize::try_from(word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48).unwrap()
}

#[test]
fn every_window_of_a_secret_is_found_at_every_alignment() {
    let secret: Vec<u8> = (0..100).collect();
    let needles = Needles::new(vec![("secret".to_owned(), secret.clone())]);

    for from in 0..=secret.len() - WINDOW {
        for at in 0..WORD {
            let mut memory = vec![0xff; 64];
            memory[at..at + WINDOW].copy_from_slice(&secret[from..from + WINDOW]);

            let pieces = needles.find(&memory);

            assert_eq!(pieces.iter().map(Piece::windows).sum::<usize>(), 1, "{from} at {at}");
            assert_eq!((pieces[0].from, pieces[0].at), (from, at));
        }
    }
}

#[test]
fn less_than_a_window_is_no_find() {
    let secret: Vec<u8> = (0..64).collect();
    let needles = Needles::new(vec![("secret".to_owned(), secret.clone())]);

    let memory = [&[0xff; 8][..], &secret[8..8 + WINDOW - 1], &[0xff; 9]].concat();

    assert!(needles.find(&memory).is_empty());
}
