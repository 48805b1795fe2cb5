use agentkeys_types::{OmniAccount, SessionId, Timestamp};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{SqliteStore, columns::Columns, decoy::decoy_id, writer::Change};
use crate::{Entry, SessionRecord, SessionStore, StoreError};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn find_session(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let found = self.readers.read(|connection| {
            connection
                .prepare_cached(concat!(
                    "SELECT id, account, identity_type, identity_value, client_name, created_at, auth_time, \
                         expires_at, revoked_at FROM sessions \
                         WHERE id = COALESCE((SELECT id FROM sessions WHERE id = ?1), ",
                    decoy_id!(session),
                    ")"
                ))?
                .query_row([id.as_bytes()], session_record)
                .optional()
        })?;
        Ok(found.filter(|found| found.id == id))
    }

    async fn sessions(&self, account: OmniAccount, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        self.readers.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, account, identity_type, identity_value, client_name, created_at, auth_time, \
                     expires_at, revoked_at FROM sessions \
                     WHERE account = ?1 AND revoked_at IS NULL AND expires_at > ?2 ORDER BY created_at DESC, id",
                )?
                .query_map(params![account.as_bytes(), now.as_unix()], session_record)?
                .collect()
        })
    }

    async fn revoke_session(&self, account: OmniAccount, id: SessionId, entry: Entry) -> Result<bool, StoreError> {
        self.writer
            .write(move |transaction| {
                let revoked = transaction
                    .connection
                    .prepare_cached(
                        "UPDATE sessions SET revoked_at = ?3 \
                         WHERE id = ?2 AND account = ?1 AND revoked_at IS NULL AND expires_at > ?3",
                    )?
                    .execute(params![account.as_bytes(), id.as_bytes(), entry.at.as_unix()])?;
                if revoked == 1 {
                    transaction.record(&entry)?;
                }
                Ok(Change::Keep(revoked == 1))
            })
            .await
    }

    async fn revoke_sessions(&self, account: OmniAccount, entry: Entry) -> Result<Vec<SessionId>, StoreError> {
        self.writer
            .write(move |transaction| {
                let revoked: Vec<SessionId> = transaction
                    .connection
                    .prepare_cached(
                        "UPDATE sessions SET revoked_at = ?2 \
                         WHERE account = ?1 AND revoked_at IS NULL AND expires_at > ?2 RETURNING id",
                    )?
                    .query_map(params![account.as_bytes(), entry.at.as_unix()], |row| row.session(0))?
                    .collect::<rusqlite::Result<_>>()?;
                if !revoked.is_empty() {
                    transaction.record(&entry)?;
                }
                Ok(Change::Keep(revoked))
            })
            .await
    }
}

/// Opens a session.
pub(super) fn insert(connection: &Connection, session: &SessionRecord) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, account, identity_type, identity_value, client_name, created_at, auth_time, \
             expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            session.id.as_bytes(),
            session.account.as_bytes(),
            session.identity.identity_type().to_string(),
            session.identity.value(),
            session.client_name,
            session.created_at.as_unix(),
            session.auth_time.as_unix(),
            session.expires_at.as_unix(),
        ])?;
    Ok(())
}

fn session_record(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        id: row.session(0)?,
        account: row.account(1)?,
        identity: row.identity(2)?,
        client_name: row.get(4)?,
        created_at: row.time(5)?,
        auth_time: row.time(6)?,
        expires_at: row.time(7)?,
        revoked_at: row.get::<_, Option<_>>(8)?.map(Timestamp::from_unix),
    })
}
