use async_trait::async_trait;

use super::{
    SqliteStore,
    writer::{Change, Transaction},
};
use crate::{Entry, RestoreStore, StoreError};

#[async_trait]
impl RestoreStore for SqliteStore {
    async fn end_everything(&self, entry: Entry) -> Result<u64, StoreError> {
        self.writer.write(move |transaction| Ok(Change::Keep(end_everything(transaction, &entry)?))).await
    }
}

fn end_everything(transaction: &mut Transaction<'_>, entry: &Entry) -> rusqlite::Result<u64> {
    let connection = transaction.connection;
    let revoked = connection
        .prepare_cached("UPDATE sessions SET revoked_at = ?1 WHERE revoked_at IS NULL")?
        .execute([entry.at.as_unix()])?;
    connection.prepare_cached("UPDATE email_sign_ins SET state = 'expired' WHERE state = 'waiting'")?.execute([])?;
    connection.prepare_cached("UPDATE challenges SET state = 'expired' WHERE state = 'open'")?.execute([])?;
    connection
        .prepare_cached("UPDATE grants SET state = 'expired' WHERE state IN ('waiting', 'approved')")?
        .execute([])?;
    connection.prepare_cached("UPDATE browser_sign_ins SET state = 'over' WHERE state <> 'decided'")?.execute([])?;
    connection
        .prepare_cached("UPDATE agents SET expires_at = ?1 WHERE expires_at IS NULL OR expires_at > ?1")?
        .execute([entry.at.as_unix()])?;
    connection.prepare_cached("DELETE FROM mails")?.execute([])?;
    transaction.record(entry)?;
    Ok(revoked as u64)
}
