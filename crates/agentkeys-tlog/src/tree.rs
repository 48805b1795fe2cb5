use crate::{Hash, TILE_WIDTH, Tile, TileId};

/// A tree that grows leaf by leaf, of which only the right edge is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// The whole trees that it consists of, the largest first.
    roots: Vec<Hash>,
    /// The unfinished tile of each level.
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of all of it.
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev().copied();
        let Some(last) = roots.next() else { return Hash::of_nothing() };
        roots.fold(last, |right, left| Hash::of_node(&left, &right))
    }

    /// Appends a leaf, by its hash. Tiles that become whole by it are put into `whole`, and are not kept.
    pub fn append(&mut self, leaf: Hash, whole: &mut Vec<Tile>) {
        let mut hash = leaf;
        self.place(0, hash, whole);
        for height in 1..=self.size.trailing_ones() {
            // Each one bit of the size is one of the roots.
            let Some(left) = self.roots.pop() else { break };
            hash = Hash::of_node(&left, &hash);
            if height % 8 == 0 {
                self.place(height / 8, hash, whole);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The tiles that are not whole yet, one for each level that has one.
    pub fn edge(&self) -> impl Iterator<Item = Tile> {
        let levels = self.edge.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty());
        levels.filter_map(|(level, hashes)| Some(Tile { id: self.edge_id(level)?, hashes: hashes.clone() }))
    }

    /// The hashes of a tile that is not whole yet, as far as there are any.
    pub fn edge_at(&self, level: u8, index: u64) -> Option<&[Hash]> {
        let level = usize::from(level);
        let id = self.edge_id(level)?;
        (id.index() == index).then(|| self.edge[level].as_slice())
    }

    fn edge_id(&self, level: usize) -> Option<TileId> {
        let width = u16::try_from(self.edge.get(level)?.len()).ok()?;
        let index = self.size.checked_shr(8 * (u32::try_from(level).ok()? + 1)).unwrap_or(0);
        TileId::new(u8::try_from(level).ok()?, index, width)
    }

    fn place(&mut self, level: u32, hash: Hash, whole: &mut Vec<Tile>) {
        let at = level as usize;
        if self.edge.len() <= at {
            self.edge.resize(at + 1, Vec::new());
        }
        self.edge[at].push(hash);
        if self.edge[at].len() < usize::from(TILE_WIDTH) {
            return;
        }
        let index = self.size.checked_shr(8 * (level + 1)).unwrap_or(0);
        let hashes = std::mem::take(&mut self.edge[at]);
        let id = u8::try_from(level).ok().and_then(|level| TileId::new(level, index, TILE_WIDTH));
        whole.extend(id.map(|id| Tile { id, hashes }));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Tiles;

    /// The leaves with which Certificate Transparency's own implementations are tested.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    /// The roots of the first one, the first two, and so on.
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    pub(crate) fn leaf(number: u64) -> Hash {
        Hash::of_leaf(&number.to_be_bytes())
    }

    /// A tree of `size` leaves, and all its tiles.
    pub(crate) fn tree(size: u64) -> (Tree, Tiles) {
        let (mut tree, mut whole, mut tiles) = (Tree::default(), Vec::new(), Tiles::default());
        (0..size).for_each(|number| tree.append(leaf(number), &mut whole));
        for tile in whole.into_iter().chain(tree.edge()) {
            assert!(tiles.insert(tile.id, &tile.to_bytes()));
        }
        (tree, tiles)
    }

    /// The definition in RFC 6962 section 2.1, word for word.
    pub(crate) fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of_nothing(),
            [leaf] => *leaf,
            leaves => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                Hash::of_node(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn the_roots_are_those_of_certificate_transparency() {
        let mut tree = Tree::default();
        assert_eq!(
            hex::encode(tree.root().as_bytes()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );

        for (leaf, root) in LEAVES.into_iter().zip(ROOTS) {
            tree.append(Hash::of_leaf(&hex::decode(leaf).unwrap()), &mut Vec::new());

            assert_eq!(hex::encode(tree.root().as_bytes()), root);
        }
    }

    #[test]
    fn a_tree_of_any_size_has_the_root_of_the_definition() {
        let leaves: Vec<Hash> = (0..700).map(leaf).collect();
        let mut tree = Tree::default();

        for (index, leaf) in leaves.iter().enumerate() {
            tree.append(*leaf, &mut Vec::new());

            assert_eq!(tree.root(), by_definition(&leaves[..=index]));
        }
    }

    #[test]
    fn tiles_come_whole_once_and_the_edge_has_the_rest() {
        let (tree, tiles) = tree(70_000);

        let edge: Vec<String> = tree.edge().map(|tile| tile.id.to_string()).collect();

        assert_eq!(edge, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
        for index in 0..273 {
            let hashes = tiles.find(TileId::new(0, index, 256).unwrap()).unwrap();
            assert_eq!(hashes[7], leaf(index * 256 + 7));
        }
        let first: Vec<Hash> = (0..65_536).map(leaf).collect();
        assert_eq!(tiles.find(TileId::new(2, 0, 1).unwrap()).unwrap(), [by_definition(&first)]);
        assert_eq!(tree.edge_at(0, 273).unwrap().len(), 112);
        assert_eq!((tree.edge_at(0, 272), tree.edge_at(3, 0)), (None, None));
    }
}
