use std::{collections::HashMap, fmt};

use crate::Hash;

/// How many hashes a whole tile has.
pub const TILE_WIDTH: u16 = 256;
/// A tree of 2^64 leaves has no more levels of tiles.
const LEVELS: u8 = 8;

/// Which tile of hashes: C2SP tlog-tiles, of height 8.
///
/// Text form: its path, such as `tile/0/x001/067.p/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

impl TileId {
    /// The tile with `width` hashes, at most 256, at `index` of its level, at most 7.
    pub fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        (level < LEVELS && (1..=TILE_WIDTH).contains(&width)).then_some(Self { level, index, width })
    }

    /// Which levels lie below it: its hashes are those of trees with 256^level leaves.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Where it is in its level.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes it has.
    pub const fn width(self) -> u16 {
        self.width
    }

    /// The same place, once it is whole.
    #[must_use]
    pub const fn whole(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// Reads what follows `tile/` in a path: the level, and the rest.
    pub fn parse(level: &str, rest: &str) -> Option<Self> {
        let (index, width) = parse_place(rest)?;
        let id = Self::new(level.parse().ok()?, index, width)?;
        // One spelling only: `+1`, `00` and `x000/001` are others.
        (id.level.to_string() == level && place(index, width) == rest).then_some(id)
    }

    /// The tile in which `index` of `level` lies, in a tree with `size` leaves.
    pub(crate) fn at(level: u8, index: u64, size: u64) -> Option<Self> {
        let tile = index / u64::from(TILE_WIDTH);
        let hashes = size.checked_shr(u32::from(level) * 8)?;
        let width = hashes.checked_sub(tile * u64::from(TILE_WIDTH))?.min(u64::from(TILE_WIDTH));
        Self::new(level, tile, u16::try_from(width).ok()?)
    }
}

impl fmt::Display for TileId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "tile/{}/{}", self.level, place(self.index, self.width))
    }
}

/// The path of the leaves themselves, `width` of them from `256 * index` on.
pub fn entries_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", place(index, width))
}

/// Digits in groups of three, all but the last with an `x` before them.
fn place(index: u64, width: u16) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH {
        text = format!("{text}.p/{width}");
    }
    text
}

fn parse_place(text: &str) -> Option<(u64, u16)> {
    let (digits, width) = match text.split_once(".p/") {
        Some((digits, width)) => (digits, width.parse().ok().filter(|width| *width < TILE_WIDTH)?),
        None => (text, TILE_WIDTH),
    };
    let mut index: u64 = 0;
    for group in digits.split('/') {
        let group = group.strip_prefix('x').unwrap_or(group);
        if group.len() != 3 {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(group.parse().ok()?)?;
    }
    Some((index, width))
}

/// A tile of hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which one.
    pub id: TileId,
    /// As many as its width says.
    pub hashes: Vec<Hash>,
}

impl Tile {
    /// As it stands in its file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }
}

/// Tiles at hand, from which proofs are made. Nothing is believed of them that a proof does not show.
#[derive(Clone, Debug, Default)]
pub struct Tiles(HashMap<TileId, Vec<Hash>>);

impl Tiles {
    /// Takes a tile as its file holds it; `false` when it has the wrong length.
    #[must_use]
    pub fn insert(&mut self, id: TileId, bytes: &[u8]) -> bool {
        let (hashes, rest) = bytes.as_chunks::<{ Hash::LENGTH }>();
        if hashes.len() != usize::from(id.width) || !rest.is_empty() {
            return false;
        }
        self.0.insert(id, hashes.iter().copied().map(Hash::from_bytes).collect());
        true
    }

    /// Whether it is at hand.
    pub fn contains(&self, id: TileId) -> bool {
        self.0.contains_key(&id)
    }

    pub(crate) fn find(&self, id: TileId) -> Option<&[Hash]> {
        self.0.get(&id).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        for (level, index, width, path) in [
            (0, 0, 256, "tile/0/000"),
            (0, 1_234_067, 256, "tile/0/x001/x234/067"),
            (1, 1_234_067, 1, "tile/1/x001/x234/067.p/1"),
            (0, 273, 112, "tile/0/273.p/112"),
            (1, 1, 17, "tile/1/001.p/17"),
            (0, 1_000, 256, "tile/0/x001/000"),
        ] {
            assert_eq!(TileId::new(level, index, width).unwrap().to_string(), path);
        }
        assert_eq!(entries_path(1_234_067, 8), "tile/entries/x001/x234/067.p/8");
    }

    #[test]
    fn a_tree_of_seventy_thousand_leaves_has_the_tiles_of_the_specification() {
        let of = |level, index| TileId::at(level, index, 70_000).map(|id| id.to_string());

        assert_eq!(of(0, 69_999).unwrap(), "tile/0/273.p/112");
        assert_eq!(of(1, 272).unwrap(), "tile/1/001.p/17");
        assert_eq!(of(2, 0).unwrap(), "tile/2/000.p/1");
        assert_eq!(of(3, 0), None);
    }

    #[test]
    fn another_spelling_of_a_path_is_no_path() {
        for (level, rest) in [
            ("00", "000"),
            ("+0", "000"),
            ("8", "000"),
            ("-1", "000"),
            ("entries", "000"),
            ("0", "0"),
            ("0", "0000"),
            ("0", "x000/001"),
            ("0", "001/001"),
            ("0", "x001"),
            ("0", "x001/x001"),
            ("0", "+01"),
            ("0", "000.p/0"),
            ("0", "000.p/256"),
            ("0", "000.p/08"),
            ("0", "000.p/+8"),
            ("0", "000.p/"),
            ("0", "000/"),
            ("0", ""),
            ("0", "../000"),
            ("0", "x999/x999/x999/x999/x999/x999/999"),
        ] {
            assert_eq!(TileId::parse(level, rest), None, "{level}/{rest}");
        }
    }

    #[test]
    fn a_tile_of_another_length_is_not_taken() {
        let id = TileId::new(0, 0, 2).unwrap();
        let mut tiles = Tiles::default();

        assert!(!tiles.insert(id, &[0; 32]) && !tiles.insert(id, &[0; 65]) && !tiles.contains(id));
        assert!(tiles.insert(id, &[0; 64]) && tiles.contains(id));
    }

    proptest! {
        #[test]
        fn a_path_reads_back(level in 0_u8..8, index: u64, width in 1_u16..=256) {
            let id = TileId::new(level, index, width).unwrap();
            let path = id.to_string();
            let (level, rest) = path.strip_prefix("tile/").unwrap().split_once('/').unwrap();

            prop_assert_eq!(TileId::parse(level, rest), Some(id));
        }

        #[test]
        fn no_path_makes_the_parser_panic_and_what_it_reads_it_writes(level in "[0-9x+]{0,2}", rest in "[x0-9/.p]{0,30}") {
            if let Some(id) = TileId::parse(&level, &rest) {
                prop_assert_eq!(id.to_string(), format!("tile/{level}/{rest}"));
            }
        }
    }
}
