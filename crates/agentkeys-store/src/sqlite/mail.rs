use std::time::Duration;

use agentkeys_types::{EmailAddress, OmniAccount, Timestamp};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore,
    columns::Columns,
    writer::{Change, Transaction},
};
use crate::{BoundedLetter, Letter, MailStore, MailsWaiting, QueuedMail, StoreError};

#[async_trait]
impl MailStore for SqliteStore {
    async fn claim_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>, StoreError> {
        self.writer
            .write(move |transaction| {
                let claimed = transaction
                    .connection
                    .prepare_cached(
                        "UPDATE mails SET next_attempt_at = ?2 WHERE id = \
                             (SELECT id FROM mails WHERE next_attempt_at <= ?1 AND expires_at > ?1 \
                              ORDER BY next_attempt_at, id LIMIT 1) \
                         RETURNING id, recipient, content, written_at, expires_at, attempts",
                    )?
                    .query_row(params![now.as_unix(), now.after(lease).as_unix()], queued_mail)
                    .optional()?;
                Ok(Change::Keep(claimed))
            })
            .await
    }

    async fn delay_mail(&self, id: u64, next_attempt_at: Timestamp) -> Result<(), StoreError> {
        self.writer
            .write(move |transaction| {
                transaction
                    .connection
                    .prepare_cached("UPDATE mails SET attempts = attempts + 1, next_attempt_at = ?2 WHERE id = ?1")?
                    .execute(params![id.cast_signed(), next_attempt_at.as_unix()])?;
                Ok(Change::Keep(()))
            })
            .await
    }

    async fn remove_mail(&self, id: u64) -> Result<(), StoreError> {
        self.writer
            .write(move |transaction| {
                transaction
                    .connection
                    .prepare_cached("DELETE FROM mails WHERE id = ?1")?
                    .execute([id.cast_signed()])?;
                Ok(Change::Keep(()))
            })
            .await
    }

    async fn mails_waiting(&self, now: Timestamp) -> Result<MailsWaiting, StoreError> {
        self.readers.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT COUNT(*), MIN(next_attempt_at), MIN(CASE WHEN attempts > 0 THEN written_at END) \
                     FROM mails WHERE expires_at > ?1",
                )?
                .query_row([now.as_unix()], |row| {
                    Ok(MailsWaiting {
                        count: row.sequence(0)?,
                        next_attempt_at: row.time_or_null(1)?,
                        delayed_since: row.time_or_null(2)?,
                    })
                })
        })
    }
}

/// Queues a letter to one address.
pub(super) fn queue(transaction: &Transaction<'_>, recipient: &EmailAddress, letter: &Letter) -> rusqlite::Result<()> {
    transaction
        .connection
        .prepare_cached(
            "INSERT INTO mails (recipient, content, written_at, expires_at, next_attempt_at) \
             VALUES (?1, ?2, ?3, ?4, ?3)",
        )?
        .execute(params![
            recipient.as_str(),
            letter.content,
            letter.written_at.as_unix(),
            letter.expires_at.as_unix(),
        ])?;
    Ok(())
}

/// Queues a letter to one address where there is room, and says whether there was.
pub(super) fn queue_bounded(
    transaction: &Transaction<'_>,
    recipient: &EmailAddress,
    bounded: &BoundedLetter,
) -> rusqlite::Result<bool> {
    let BoundedLetter { letter, most_waiting } = bounded;
    if is_full(transaction.connection, *most_waiting, letter.written_at)? {
        return Ok(false);
    }
    queue(transaction, recipient, letter)?;
    Ok(true)
}

/// Queues a letter to every e-mail address that opens the account or that a provider has verified, once to each. There
/// is always room: only somebody who has proved an identity of the account causes one.
pub(super) fn queue_for_account(
    transaction: &Transaction<'_>,
    account: OmniAccount,
    letter: &Letter,
) -> rusqlite::Result<()> {
    transaction
        .connection
        .prepare_cached(
            "INSERT INTO mails (recipient, content, written_at, expires_at, next_attempt_at) \
             SELECT CASE identity_type WHEN 'email' THEN identity_value ELSE email END AS address, ?2, ?3, ?4, ?3 \
             FROM identity_links WHERE account = ?1 AND retired_at IS NULL AND address IS NOT NULL GROUP BY address",
        )?
        .execute(params![
            account.as_bytes(),
            letter.content,
            letter.written_at.as_unix(),
            letter.expires_at.as_unix(),
        ])?;
    Ok(())
}

/// Whether `most` mails wait already. Looks at no more than that.
fn is_full(connection: &Connection, most: u32, now: Timestamp) -> rusqlite::Result<bool> {
    let waiting: u32 = connection
        .prepare_cached("SELECT COUNT(*) FROM (SELECT 1 FROM mails WHERE expires_at > ?1 LIMIT ?2)")?
        .query_row(params![now.as_unix(), most], |row| row.get(0))?;
    Ok(waiting >= most)
}

fn queued_mail(row: &Row<'_>) -> rusqlite::Result<QueuedMail> {
    Ok(QueuedMail {
        id: row.sequence(0)?,
        recipient: row.parsed(1)?,
        letter: Letter { content: row.get(2)?, written_at: row.time(3)?, expires_at: row.time(4)? },
        attempts: row.get(5)?,
    })
}
