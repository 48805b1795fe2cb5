//! [`SqliteStore`]: the contract of every store, and what is its own.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod damage;
mod opening;

use std::sync::Arc;

use agentkeys_store::{SqliteStore, Store};
use tempfile::TempDir;

agentkeys_store::conformance!(open);

async fn open() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("broker.db")).unwrap();
    (Arc::new(store), folder)
}
