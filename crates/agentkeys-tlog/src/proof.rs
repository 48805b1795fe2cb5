use std::{collections::BTreeSet, ops::Range};

use crate::{Hash, TileId, Tiles};

/// Why something is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The tree has fewer leaves.
    #[error("the log is too small: it has {size} entries, and {wanted} are asked about")]
    TooSmall {
        /// How many it has.
        size: u64,
        /// How many it would have to have.
        wanted: u64,
    },
    /// A tile that is needed is not at hand.
    #[error("the tile {0} is missing")]
    TileMissing(TileId),
    /// The hashes do not lead to the root.
    #[error("the hashes do not lead to the root of the checkpoint")]
    Wrong,
}

/// The tiles that show the leaf at `index` of a tree with `size` leaves.
pub fn tiles_for_inclusion(index: u64, size: u64) -> BTreeSet<TileId> {
    if index < size { tiles_for(&inclusion(index, 0..size), size) } else { BTreeSet::new() }
}

/// The tiles that show that the first `old` leaves of a tree with `new` ones are those of the tree with `old` ones.
pub fn tiles_for_consistency(old: u64, new: u64) -> BTreeSet<TileId> {
    if (1..new).contains(&old) { tiles_for(&consistency(old, 0..new, true), new) } else { BTreeSet::new() }
}

/// The audit path of the leaf at `index` (RFC 6962 section 2.1.1).
pub fn prove_inclusion(index: u64, size: u64, tiles: &Tiles) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::TooSmall { size, wanted: index.saturating_add(1) });
    }
    inclusion(index, 0..size).into_iter().map(|leaves| root_of(leaves, size, tiles)).collect()
}

/// The consistency proof between two sizes (RFC 6962 section 2.1.2).
pub fn prove_consistency(old: u64, new: u64, tiles: &Tiles) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::TooSmall { size: new, wanted: old });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    consistency(old, 0..new, true).into_iter().map(|leaves| root_of(leaves, new, tiles)).collect()
}

/// Verifies the audit path of the leaf at `index` (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(index: u64, leaf: &Hash, size: u64, root: &Hash, proof: &[Hash]) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::TooSmall { size, wanted: index.saturating_add(1) });
    }
    let (mut first, mut last, mut hash) = (index, size - 1, *leaf);
    for beside in proof {
        if last == 0 {
            return Err(ProofError::Wrong);
        }
        if first & 1 == 1 || first == last {
            hash = Hash::of_node(beside, &hash);
            while first & 1 == 0 && first != 0 {
                (first, last) = (first >> 1, last >> 1);
            }
        } else {
            hash = Hash::of_node(&hash, beside);
        }
        (first, last) = (first >> 1, last >> 1);
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(ProofError::Wrong) }
}

/// Verifies the consistency proof between two trees, each given by its size and root (RFC 9162 section 2.1.4.2).
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> Result<(), ProofError> {
    let ((old, old_root), (new, new_root)) = (old, new);
    if old > new {
        return Err(ProofError::TooSmall { size: new, wanted: old });
    }
    if old == 0 || old == new {
        let root = if old == 0 { &Hash::of_nothing() } else { new_root };
        return if proof.is_empty() && old_root == root { Ok(()) } else { Err(ProofError::Wrong) };
    }
    // A whole tree is a part of the new one as it is, and so not in the proof.
    let path = old.is_power_of_two().then_some(old_root).into_iter().chain(proof);
    let (mut first, mut last) = (old - 1, new - 1);
    let whole = first.trailing_ones();
    (first, last) = (first >> whole, last >> whole);
    let mut hashes = None;
    for beside in path {
        let Some((before, after)) = hashes else {
            hashes = Some((*beside, *beside));
            continue;
        };
        if last == 0 {
            return Err(ProofError::Wrong);
        }
        if first & 1 == 1 || first == last {
            hashes = Some((Hash::of_node(beside, &before), Hash::of_node(beside, &after)));
            while first & 1 == 0 && first != 0 {
                (first, last) = (first >> 1, last >> 1);
            }
        } else {
            hashes = Some((before, Hash::of_node(&after, beside)));
        }
        (first, last) = (first >> 1, last >> 1);
    }
    if last == 0 && hashes == Some((*old_root, *new_root)) { Ok(()) } else { Err(ProofError::Wrong) }
}

/// The leaves below each hash of an audit path.
fn inclusion(index: u64, leaves: Range<u64>) -> Vec<Range<u64>> {
    let (mut leaves, mut path) = (leaves, Vec::new());
    while leaves.end - leaves.start > 1 {
        let (left, right) = halves(leaves);
        let beside;
        (leaves, beside) = if index < right.start { (left, right) } else { (right, left) };
        path.push(beside);
    }
    path.reverse();
    path
}

/// The leaves below each hash of a consistency proof; `is_known` while the old root itself could be the answer.
fn consistency(old: u64, leaves: Range<u64>, is_known: bool) -> Vec<Range<u64>> {
    let (mut leaves, mut is_known, mut path) = (leaves, is_known, Vec::new());
    while old < leaves.end {
        let (left, right) = halves(leaves);
        let beside;
        (leaves, beside) = if old <= right.start {
            (left, right)
        } else {
            is_known = false;
            (right, left)
        };
        path.push(beside);
    }
    if !is_known {
        path.push(leaves);
    }
    path.reverse();
    path
}

/// Splits more than one leaf as the tree does.
fn halves(leaves: Range<u64>) -> (Range<u64>, Range<u64>) {
    let half = 1 << (leaves.end - leaves.start - 1).ilog2();
    let middle = leaves.start + half;
    (leaves.start..middle, middle..leaves.end)
}

/// The whole trees, as height and index, that a part of the tree consists of, from the left.
fn whole_trees(leaves: Range<u64>) -> impl DoubleEndedIterator<Item = (u32, u64)> {
    let Range { start, end } = leaves;
    let length = end - start;
    (0..64_u32).rev().filter(move |height| length >> height & 1 == 1).map(move |height| {
        let before = if height == 63 { 0 } else { length >> (height + 1) << (height + 1) };
        (height, (start + before) >> height)
    })
}

/// The tile that has the hashes below a whole tree, and which of them.
fn hashes_below(height: u32, index: u64, size: u64) -> Option<(TileId, Range<usize>)> {
    let (level, within) = (u8::try_from(height / 8).ok()?, height % 8);
    let first = index << within;
    let offset = usize::try_from(first % 256).ok()?;
    Some((TileId::at(level, first, size)?, offset..offset + (1 << within)))
}

fn tiles_for(path: &[Range<u64>], size: u64) -> BTreeSet<TileId> {
    let trees = path.iter().flat_map(|leaves| whole_trees(leaves.clone()));
    trees.filter_map(|(height, index)| Some(hashes_below(height, index, size)?.0)).collect()
}

fn root_of(leaves: Range<u64>, size: u64, tiles: &Tiles) -> Result<Hash, ProofError> {
    let mut root = None;
    for (height, index) in whole_trees(leaves).rev() {
        let (id, below) = hashes_below(height, index, size).ok_or(ProofError::Wrong)?;
        let hashes = tiles.find(id).ok_or(ProofError::TileMissing(id))?;
        let mut hashes = hashes.get(below).ok_or(ProofError::Wrong)?.to_vec();
        while hashes.len() > 1 {
            hashes = hashes.chunks_exact(2).map(|pair| Hash::of_node(&pair[0], &pair[1])).collect();
        }
        root = Some(match root {
            Some(right) => Hash::of_node(&hashes[0], &right),
            None => hashes[0],
        });
    }
    root.ok_or(ProofError::Wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::tests::{by_definition, leaf, tree};

    #[test]
    fn every_leaf_of_every_small_tree_is_shown_by_the_path_of_the_definition() {
        for size in 1..=40 {
            let (tree, tiles) = tree(size);
            let leaves: Vec<Hash> = (0..size).map(leaf).collect();
            for index in 0..size {
                let proof = prove_inclusion(index, size, &tiles).unwrap();

                verify_inclusion(index, &leaf(index), size, &tree.root(), &proof).unwrap();
                assert_eq!(proof, path_by_definition(usize::try_from(index).unwrap(), &leaves));
            }
        }
    }

    #[test]
    fn every_pair_of_small_trees_is_consistent() {
        let (_, _) = tree(0);
        for new in 0..=40 {
            let (new_tree, tiles) = tree(new);
            for old in 0..=new {
                let old_root = by_definition(&(0..old).map(leaf).collect::<Vec<_>>());

                let proof = prove_consistency(old, new, &tiles).unwrap();

                verify_consistency((old, &old_root), (new, &new_tree.root()), &proof).unwrap();
            }
        }
    }

    /// RFC 6962 section 2.1.1, word for word.
    fn path_by_definition(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        let (mut path, beside) = if index < half {
            (path_by_definition(index, left), right)
        } else {
            (path_by_definition(index - half, right), left)
        };
        path.push(by_definition(beside));
        path
    }

    #[test]
    fn a_large_tree_needs_a_few_tiles_only() {
        let size = 70_000;
        let (large, tiles) = tree(size);
        let (small, _) = tree(65_000);

        for index in [0, 255, 256, 65_535, 65_536, 69_887, 69_999] {
            let needed = tiles_for_inclusion(index, size);
            assert!(needed.len() <= 4, "{needed:?}");
            let proof = prove_inclusion(index, size, &only(&needed, &tiles)).unwrap();

            verify_inclusion(index, &leaf(index), size, &large.root(), &proof).unwrap();
        }
        let needed = tiles_for_consistency(65_000, size);
        assert!(needed.len() <= 6, "{needed:?}");
        let proof = prove_consistency(65_000, size, &only(&needed, &tiles)).unwrap();
        verify_consistency((65_000, &small.root()), (size, &large.root()), &proof).unwrap();
    }

    fn only(needed: &BTreeSet<TileId>, tiles: &Tiles) -> Tiles {
        let mut few = Tiles::default();
        for id in needed {
            let bytes: Vec<u8> = tiles.find(*id).unwrap().iter().flat_map(|hash| *hash.as_bytes()).collect();
            assert!(few.insert(*id, &bytes));
        }
        few
    }

    #[test]
    fn what_is_not_in_the_tree_is_not_shown() {
        let (_, tiles) = tree(5);
        let too_small = |size, wanted| Err(ProofError::TooSmall { size, wanted });

        assert_eq!(prove_inclusion(5, 5, &tiles), too_small(5, 6));
        assert_eq!(prove_inclusion(0, 0, &tiles), too_small(0, 1));
        assert_eq!(prove_consistency(6, 5, &tiles), too_small(5, 6));
        assert_eq!(
            prove_inclusion(0, 5, &Tiles::default()),
            Err(ProofError::TileMissing(TileId::new(0, 0, 5).unwrap()))
        );
    }

    proptest! {
        #[test]
        fn a_changed_proof_leaf_root_or_place_is_refused(size in 2_u64..600, seed: u64, change in 0_u8..5, bit in 0_usize..256) {
            let (tree, tiles) = tree(size);
            let mut index = seed % size;
            let mut proof = prove_inclusion(index, size, &tiles).unwrap();
            let (mut hash, mut root) = (leaf(index), tree.root());
            let flip = |hash: &mut Hash| {
                let mut bytes = *hash.as_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                *hash = Hash::from_bytes(bytes);
            };
            match change {
                0 => flip(&mut hash),
                1 => flip(&mut root),
                2 => { let at = bit % proof.len(); flip(&mut proof[at]); }
                3 => { proof.pop(); }
                _ => index = (index + 1) % size,
            }

            prop_assert!(verify_inclusion(index, &hash, size, &root, &proof).is_err());
        }

        #[test]
        fn a_tree_that_forgot_or_changed_a_leaf_is_not_consistent(old in 1_u64..300, more in 1_u64..300, seed: u64) {
            let (before, _) = tree(old);
            let changed = seed % old;
            let mut other = crate::Tree::default();
            let mut whole = Vec::new();
            for number in 0..old + more {
                other.append(leaf(if number == changed { u64::MAX } else { number }), &mut whole);
            }
            let mut tiles = Tiles::default();
            for tile in whole.into_iter().chain(other.edge()) {
                prop_assert!(tiles.insert(tile.id, &tile.to_bytes()));
            }
            let new = old + more;
            let proof = prove_consistency(old, new, &tiles).unwrap();

            prop_assert!(verify_consistency((old, &before.root()), (new, &other.root()), &proof).is_err());
        }

        #[test]
        fn no_numbers_make_the_checks_panic(
            index: u64, size: u64, new: u64, hashes in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash::from_bytes), 0..70)
        ) {
            let root = hashes.first().copied().unwrap_or(Hash::of_nothing());
            let _ = verify_inclusion(index, &root, size, &root, &hashes);
            let _ = verify_consistency((size, &root), (new, &root), &hashes);
            let needed = [tiles_for_inclusion(index, size), tiles_for_consistency(size, new)];
            prop_assert!(needed.iter().all(|tiles| tiles.len() <= 24));
            let _ = prove_inclusion(index, size, &Tiles::default());
            let _ = prove_consistency(size, new, &Tiles::default());
        }
    }
}
