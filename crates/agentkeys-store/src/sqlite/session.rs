use agentkeys_types::{Identity, KeyThumbprint, OmniAccount, SessionId, Timestamp};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore,
    columns::{Columns, Octets},
    writer::{Change, Transaction},
};
use crate::{Action, Entry, RENEWAL_REPEATS, Renewal, RenewalRequest, SessionRecord, SessionStore, StoreError};

/// The columns of a [`SessionRecord`], in the order in which [`session_record`] reads them.
macro_rules! select {
    () => {
        "SELECT id, account, identity_type, identity_value, client_name, created_at, auth_time, expires_at, \
         revoked_at, key_thumbprint, source, last_used_at, renewed_at FROM sessions"
    };
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn find_session(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        // Where it is not there, its neighbour is read instead, which takes as long.
        let found = self.readers.read(|connection| {
            connection
                .prepare_cached(concat!(select!(), " WHERE id <= ?1 ORDER BY id DESC LIMIT 1"))?
                .query_row([id.as_bytes()], session_record)
                .optional()
        })?;
        Ok(found.filter(|found| found.id == id))
    }

    async fn sessions(&self, account: OmniAccount, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        self.readers.read(|connection| {
            connection
                .prepare_cached(concat!(
                    select!(),
                    " WHERE account = ?1 AND revoked_at IS NULL AND expires_at > ?2 ORDER BY created_at DESC, id"
                ))?
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

    async fn renew_session(&self, request: RenewalRequest, entry: Entry) -> Result<Renewal, StoreError> {
        self.writer
            .write(move |transaction| {
                let renewed = replace_token(transaction.connection, &request, entry.at)?;
                if renewed.is_some() {
                    transaction.record(&entry)?;
                }
                let outcome = match renewed {
                    Some(renewed) => renewed,
                    None => judge_replaced_token(transaction, &request, entry)?,
                };
                Ok(Change::Keep(outcome))
            })
            .await
    }

    async fn note_use(&self, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
        self.writer
            .write_unguarded(move |transaction| {
                transaction
                    .connection
                    .prepare_cached(
                        "UPDATE sessions SET last_used_at = ?2 \
                         WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)",
                    )?
                    .execute(params![id.as_bytes(), at.as_unix()])?;
                Ok(())
            })
            .await
    }
}

/// Lets a fresh token count instead of the one that was presented, if that is the one that counts.
fn replace_token(
    connection: &Connection,
    request: &RenewalRequest,
    now: Timestamp,
) -> rusqlite::Result<Option<Renewal>> {
    connection
        .prepare_cached(
            "UPDATE sessions SET renewed_at = MAX(?3, ?2 + 1), renewed_from = ?2, renewal_asked_at = ?3, \
                 expires_at = ?4 \
             WHERE id = ?1 AND revoked_at IS NULL AND expires_at > ?3 AND COALESCE(renewed_at, ?2) = ?2 \
             RETURNING renewed_at, expires_at",
        )?
        .query_row(
            params![request.id.as_bytes(), request.issued_at.as_unix(), now.as_unix(), request.expires_at.as_unix()],
            |row| Ok(Renewal::Renewed { issued_at: row.time(0)?, expires_at: row.time(1)? }),
        )
        .optional()
}

/// Decides on a token that does not count: an answer that was lost is given again, anything else is a reuse.
fn judge_replaced_token(
    transaction: &mut Transaction<'_>,
    request: &RenewalRequest,
    entry: Entry,
) -> rusqlite::Result<Renewal> {
    let now = entry.at;
    let found = transaction
        .connection
        .prepare_cached(
            "SELECT renewed_at, expires_at, renewed_from, renewal_asked_at FROM sessions \
             WHERE id = ?1 AND revoked_at IS NULL AND expires_at > ?2 AND renewed_at > ?3",
        )?
        .query_row(params![request.id.as_bytes(), now.as_unix(), request.issued_at.as_unix()], |row| {
            let again = Renewal::Renewed { issued_at: row.time(0)?, expires_at: row.time(1)? };
            Ok((again, row.time(2)?, row.time(3)?))
        })
        .optional()?;
    let Some((again, renewed_from, asked_at)) = found else { return Ok(Renewal::Over) };
    if renewed_from == request.issued_at && asked_at <= now && now < asked_at.after(RENEWAL_REPEATS) {
        return Ok(again);
    }
    transaction
        .connection
        .prepare_cached("UPDATE sessions SET revoked_at = ?2 WHERE id = ?1")?
        .execute(params![request.id.as_bytes(), now.as_unix()])?;
    transaction.record(&Entry { action: Action::ReuseToken, ..entry })?;
    Ok(Renewal::Reused)
}

/// Revokes the sessions of the account that this identity opened and that stand, and names them.
pub(super) fn revoke_opened_by(
    connection: &Connection,
    account: OmniAccount,
    identity: &Identity,
    now: Timestamp,
) -> rusqlite::Result<Vec<SessionId>> {
    connection
        .prepare_cached(
            "UPDATE sessions SET revoked_at = ?4 WHERE account = ?1 AND identity_type = ?2 AND identity_value = ?3 \
             AND revoked_at IS NULL AND expires_at > ?4 RETURNING id",
        )?
        .query_map(
            params![account.as_bytes(), identity.identity_type().to_string(), identity.value(), now.as_unix()],
            |row| row.session(0),
        )?
        .collect()
}

/// Opens a session.
pub(super) fn insert(connection: &Connection, session: &SessionRecord) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, account, identity_type, identity_value, client_name, created_at, auth_time, \
             expires_at, key_thumbprint, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
            session.key.as_ref().map(KeyThumbprint::as_bytes),
            session.source.map(Octets::of).as_ref().map(Octets::as_slice),
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
        revoked_at: row.time_or_null(8)?,
        key: row.thumbprint(9)?,
        source: row.source(10)?,
        last_used_at: row.time_or_null(11)?,
        renewed_at: row.time_or_null(12)?,
    })
}
