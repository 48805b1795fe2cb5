use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use agentkeys_tlog::{Hash, TileId, Tree};

/// What others may ask of the log at any time.
#[derive(Debug)]
pub(super) struct Published {
    folder: PathBuf,
    latest: RwLock<Latest>,
}

#[derive(Clone, Debug)]
struct Latest {
    tree: Arc<Tree>,
    note: Arc<str>,
}

impl Published {
    pub(super) fn new(folder: PathBuf, tree: Tree, note: &str) -> Self {
        Self { folder, latest: RwLock::new(Latest { tree: Arc::new(tree), note: note.into() }) }
    }

    pub(super) fn replace(&self, tree: Tree, note: Arc<str>) {
        let latest = Latest { tree: Arc::new(tree), note };
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = latest;
    }

    pub(super) fn note(&self) -> Arc<str> {
        self.latest().note
    }

    pub(super) fn tile(&self, id: TileId) -> io::Result<Option<Vec<u8>>> {
        let (width, tree) = (usize::from(id.width()), self.latest().tree);
        if let Some(hashes) = tree.edge_at(id.level(), id.index()) {
            let hashes = hashes.get(..width);
            return Ok(hashes.map(|hashes| hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()));
        }
        let first_leaf_behind =
            id.index().checked_add(1).and_then(|next| next.checked_shl(8 * (u32::from(id.level()) + 1)));
        // Shifted out, or not reached: no tree has it.
        let is_whole = first_leaf_behind
            .is_some_and(|end| end >> (8 * (u32::from(id.level()) + 1)) == id.index() + 1 && end <= tree.size());
        if !is_whole {
            return Ok(None);
        }
        let mut bytes = fs::read(self.folder.join(id.whole().to_string()))?;
        bytes.truncate(width * Hash::LENGTH);
        Ok(Some(bytes))
    }

    fn latest(&self) -> Latest {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
