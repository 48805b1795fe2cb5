use agentkeys_types::{OmniAccount, SessionId};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore,
    columns::{Columns, Octets},
    limit,
    writer::Change,
};
use crate::{AuditStore, Entry, Head, Limit, Recorded, RecordedEntry, StoreError};

impl Head {
    /// Reads that of the whole record.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        connection
            .prepare_cached("SELECT sequence, hash FROM audit_entries ORDER BY sequence DESC LIMIT 1")?
            .query_row([], |row| Ok(Self { sequence: row.sequence(0)?, hash: row.get(1)? }))
            .optional()
            .map(Option::unwrap_or_default)
    }

    /// Writes `entry` after it, which is the new head.
    pub(super) fn append(self, connection: &Connection, entry: &Entry) -> rusqlite::Result<Self> {
        let sequence = self.sequence + 1;
        let hash = entry.link(sequence, &self.hash);
        let source = entry.source.map(Octets::of);
        connection
            .prepare_cached(
                "INSERT INTO audit_entries (sequence, at, action, outcome, account, session, subject, source, hash) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                sequence.cast_signed(),
                entry.at.as_unix(),
                entry.action.as_str(),
                entry.outcome.as_str(),
                entry.account.as_ref().map(OmniAccount::as_bytes),
                entry.session.as_ref().map(SessionId::as_bytes),
                entry.subject,
                source.as_ref().map(Octets::as_slice),
                hash,
            ])?;
        Ok(Self { sequence, hash })
    }
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn append(&self, entry: Entry, limits: Vec<Limit>) -> Result<Recorded, StoreError> {
        // One limit refuses before anything is written; only of several could some be counted and some not.
        if let [] | [_] = limits.as_slice() {
            return self
                .writer
                .write_unguarded(move |transaction| {
                    if let Some(retry_after) = limit::count(transaction.connection, &limits, entry.at)? {
                        return Ok(Recorded::Limited { retry_after });
                    }
                    transaction.record(&entry)?;
                    Ok(Recorded::Recorded)
                })
                .await;
        }
        self.writer
            .write(move |transaction| {
                if let Some(retry_after) = limit::count(transaction.connection, &limits, entry.at)? {
                    return Ok(Change::Undo(Recorded::Limited { retry_after }));
                }
                transaction.record(&entry)?;
                Ok(Change::Keep(Recorded::Recorded))
            })
            .await
    }

    async fn entries_after(&self, sequence: u64, most: u32) -> Result<Vec<RecordedEntry>, StoreError> {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        self.readers.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT sequence, at, action, outcome, account, session, subject, source, hash \
                     FROM audit_entries WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
                )?
                .query_map(params![sequence, most], recorded_entry)?
                .collect()
        })
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.readers.read(Head::load)
    }
}

fn recorded_entry(row: &Row<'_>) -> rusqlite::Result<RecordedEntry> {
    Ok(RecordedEntry {
        sequence: row.sequence(0)?,
        at: row.time(1)?,
        action: row.get(2)?,
        outcome: row.get(3)?,
        account: row.get::<_, Option<_>>(4)?.map(OmniAccount::from_bytes),
        session: row.get::<_, Option<_>>(5)?.map(SessionId::from_bytes),
        subject: row.get(6)?,
        source: row.source(7)?,
        hash: row.get(8)?,
    })
}
