mod agent;
mod audit;
mod browser_sign_in;
mod challenge;
mod columns;
mod deployment;
mod grant;
mod identity_link;
mod limit;
mod mail;
mod migrations;
mod open;
mod opening;
mod purge;
mod readers;
mod restore;
mod session;
mod sign_in;
mod wallet_link;
mod writer;

use std::path::Path;

use self::{readers::Readers, writer::Writer};
use crate::StoreError;

/// The store in a file.
///
/// What a method has written survives the loss of power once it has returned. Dropping the store finishes
/// what was asked of it.
#[derive(Debug)]
pub struct SqliteStore {
    // The writer is dropped last, because the connection that closes last tidies the write-ahead log away.
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the store in the file `path`, and makes it, only for its owner, where there is none.
    ///
    /// # Errors
    ///
    /// When the file is damaged, readable by others or from a newer version, or when writes to it would not be
    /// durable.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open::for_writing(path)?;
        Ok(Self { writer: Writer::start(connection)?, readers: Readers::open(path)? })
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(Box::new(error))
    }
}
