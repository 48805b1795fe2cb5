use agentkeys_types::Timestamp;
use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

use super::{SqliteStore, writer::Change};
use crate::{AGENTS_KEPT, FLOWS_KEPT, PurgeStore, SESSIONS_KEPT, StoreError};

/// How many rows one step looks at, some hundred microseconds of the writer's time.
const STEP: u32 = 500;

const AGENTS: &str = "DELETE FROM agents WHERE (account, name) IN \
    (SELECT account, name FROM agents WHERE expires_at <= ?1 LIMIT ?2)";
const EMAIL_SIGN_INS: &str = "DELETE FROM email_sign_ins WHERE request IN \
    (SELECT request FROM email_sign_ins WHERE expires_at <= ?1 LIMIT ?2)";
const GRANTS: &str = "DELETE FROM grants WHERE secret IN (SELECT secret FROM grants WHERE expires_at <= ?1 LIMIT ?2)";
const BROWSER_SIGN_INS: &str = "DELETE FROM browser_sign_ins WHERE request IN \
    (SELECT request FROM browser_sign_ins WHERE expires_at <= ?1 LIMIT ?2)";
const CHALLENGES: &str =
    "DELETE FROM challenges WHERE request IN (SELECT request FROM challenges WHERE expires_at <= ?1 LIMIT ?2)";
const MAILS: &str = "DELETE FROM mails WHERE id IN (SELECT id FROM mails WHERE expires_at <= ?1 LIMIT ?2)";
const SESSIONS: &str = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= ?1 LIMIT ?2)";

#[async_trait]
impl PurgeStore for SqliteStore {
    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.purge_expired(AGENTS, now.before(AGENTS_KEPT)).await?
            + self.purge_expired(EMAIL_SIGN_INS, now.before(FLOWS_KEPT)).await?
            + self.purge_expired(GRANTS, now.before(FLOWS_KEPT)).await?
            + self.purge_expired(BROWSER_SIGN_INS, now.before(FLOWS_KEPT)).await?
            + self.purge_expired(CHALLENGES, now.before(FLOWS_KEPT)).await?
            + self.purge_expired(MAILS, now).await?
            + self.purge_expired(SESSIONS, now.before(SESSIONS_KEPT)).await?
            + self.purge_limits(now).await?)
    }
}

impl SqliteStore {
    async fn purge_expired(&self, sql: &'static str, expired_at: Timestamp) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            let rows = self
                .writer
                .write(move |transaction| {
                    let parameters = params![expired_at.as_unix(), STEP];
                    let rows = transaction.connection.prepare_cached(sql)?.execute(parameters)?;
                    Ok(Change::Keep(u32::try_from(rows).unwrap_or(STEP)))
                })
                .await?;
            purged += u64::from(rows);
            if rows < STEP {
                return Ok(purged);
            }
        }
    }

    /// Walks over all limits in order of key, because no index knows which are over.
    async fn purge_limits(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut purged = 0;
        let mut after = String::new();
        loop {
            let last: Option<String> = self.readers.read(|connection| {
                connection
                    .prepare_cached("SELECT key FROM limits WHERE key > ?1 ORDER BY key LIMIT 1 OFFSET ?2")?
                    .query_row(params![after, STEP - 1], |row| row.get(0))
                    .optional()
            })?;
            let (from, to) = (after, last.clone());
            let rows = self
                .writer
                .write(move |transaction| {
                    let rows = transaction
                        .connection
                        .prepare_cached(
                            "DELETE FROM limits WHERE key > ?1 AND key <= COALESCE(?2, key) AND closes_at <= ?3",
                        )?
                        .execute(params![from, to, now.as_unix()])?;
                    Ok(Change::Keep(rows))
                })
                .await?;
            purged += rows as u64;
            match last {
                Some(last) => after = last,
                None => return Ok(purged),
            }
        }
    }
}
