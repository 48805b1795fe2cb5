use crate::{Hash, TILE_WIDTH, Tile, Tree, bundle, entries_path};

/// A file of a log's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is in the folder, such as `tile/0/x001/067`.
    pub path: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl From<Tile> for LogFile {
    fn from(tile: Tile) -> Self {
        Self { path: tile.id.to_string(), bytes: tile.to_bytes() }
    }
}

/// The right edge of a log: what has to be at hand for it to grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    tree: Tree,
    /// The entries since the last whole bundle.
    bundle: Vec<u8>,
}

impl Edge {
    /// The tree of all entries.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Appends an entry. Files that become whole by it, of hashes and of entries, are put into `whole`.
    ///
    /// `false`, and nothing done, when it is longer than 65535 bytes.
    #[must_use]
    pub fn append(&mut self, leaf: &[u8], whole: &mut Vec<LogFile>) -> bool {
        if !bundle::push_leaf(&mut self.bundle, leaf) {
            return false;
        }
        let mut tiles = Vec::new();
        self.tree.append(Hash::of_leaf(leaf), &mut tiles);
        if self.tree.size().is_multiple_of(u64::from(TILE_WIDTH)) {
            let path = entries_path(self.tree.size() / u64::from(TILE_WIDTH) - 1, TILE_WIDTH);
            whole.push(LogFile { path, bytes: std::mem::take(&mut self.bundle) });
        }
        whole.extend(tiles.into_iter().map(LogFile::from));
        true
    }

    /// The files that are not whole yet.
    pub fn files(&self) -> Vec<LogFile> {
        let (whole, width) = (self.tree.size() / u64::from(TILE_WIDTH), self.tree.size() % u64::from(TILE_WIDTH));
        let width = u16::try_from(width).ok().filter(|width| *width > 0);
        let entries = width.map(|width| LogFile { path: entries_path(whole, width), bytes: self.bundle.clone() });
        entries.into_iter().chain(self.tree.edge().map(LogFile::from)).collect()
    }
}
