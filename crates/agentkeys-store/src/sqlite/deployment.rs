use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{SqliteStore, writer::Change};
use crate::{DeploymentStore, PinError, StoreError};

#[async_trait]
impl DeploymentStore for SqliteStore {
    async fn pin(&self, name: &str, value: &str) -> Result<(), PinError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        let pinned: Result<(), PinError> = self
            .writer
            .write(move |transaction| {
                // The update changes nothing; it is there so that one statement returns the row in both cases.
                let pinned: String = transaction
                    .connection
                    .prepare_cached(
                        "INSERT INTO deployment (name, value) VALUES (?1, ?2) \
                         ON CONFLICT (name) DO UPDATE SET value = deployment.value RETURNING value",
                    )?
                    .query_row(params![name, value], |row| row.get(0))?;
                let outcome = if pinned == value { Ok(()) } else { Err(PinError::Changed { name, pinned }) };
                Ok(Change::Keep(outcome))
            })
            .await?;
        pinned
    }

    async fn pinned(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.readers.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, value FROM deployment WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name",
                )?
                .query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.writer
            .write(|transaction| {
                probe(transaction.connection)?;
                Ok(Change::Keep(()))
            })
            .await
    }
}

/// Writes something that changes nothing.
pub(super) fn probe(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE write_probe SET state = 1 - state")?.execute([])?;
    Ok(())
}
