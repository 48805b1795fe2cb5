use agentkeys_types::{RequestIdDigest, SessionId};
use async_trait::async_trait;
use rusqlite::{ErrorCode, OptionalExtension, ffi, params};

use super::{
    SqliteStore,
    columns::Columns,
    writer::{Change, Transaction},
};
use crate::{Challenge, ChallengeStore, Entry, MOST_WRONG_SIGNATURES, Proof, StoreError};

#[async_trait]
impl ChallengeStore for SqliteStore {
    async fn issue_challenge(&self, challenge: Challenge) -> Result<(), StoreError> {
        self.writer
            .write(move |transaction| {
                transaction
                    .connection
                    .prepare_cached(
                        "INSERT INTO challenges (request, session, account, address, message, created_at, expires_at) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        challenge.request.0,
                        challenge.session.as_bytes(),
                        challenge.account.as_bytes(),
                        challenge.address.as_bytes(),
                        challenge.message,
                        challenge.created_at.as_unix(),
                        challenge.expires_at.as_unix(),
                    ])?;
                Ok(Change::Keep(()))
            })
            .await
    }

    async fn find_challenge(
        &self,
        request: RequestIdDigest,
        session: SessionId,
    ) -> Result<Option<Challenge>, StoreError> {
        self.readers.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT request, session, account, address, message, created_at, expires_at FROM challenges \
                     WHERE request = ?1 AND session = ?2 AND state <> 'used' AND wrong_signatures < ?3",
                )?
                .query_row(params![request.0, session.as_bytes(), MOST_WRONG_SIGNATURES], |row| {
                    Ok(Challenge {
                        request: row.request(0)?,
                        session: row.session(1)?,
                        account: row.account(2)?,
                        address: row.address(3)?,
                        message: row.get(4)?,
                        created_at: row.time(5)?,
                        expires_at: row.time(6)?,
                    })
                })
                .optional()
        })
    }

    async fn count_wrong_signature(&self, request: RequestIdDigest) -> Result<(), StoreError> {
        self.writer
            .write(move |transaction| {
                transaction
                    .connection
                    .prepare_cached("UPDATE challenges SET wrong_signatures = wrong_signatures + 1 WHERE request = ?1")?
                    .execute([request.0])?;
                Ok(Change::Keep(()))
            })
            .await
    }

    async fn prove(&self, request: RequestIdDigest, session: SessionId, entry: Entry) -> Result<Proof, StoreError> {
        self.writer.write(move |transaction| prove(transaction, request, session, &entry)).await
    }
}

fn prove(
    transaction: &mut Transaction<'_>,
    request: RequestIdDigest,
    session: SessionId,
    entry: &Entry,
) -> Result<Change<Proof>, StoreError> {
    let connection = transaction.connection;
    let ended = connection
        .prepare_cached(
            "UPDATE challenges SET \
                 state = CASE WHEN state = 'expired' OR expires_at <= ?3 THEN 'expired' ELSE 'used' END \
             WHERE request = ?1 AND session = ?2 AND state <> 'used' AND wrong_signatures < ?4 \
             RETURNING state, account, address",
        )?
        .query_row(params![request.0, session.as_bytes(), entry.at.as_unix(), MOST_WRONG_SIGNATURES], |row| {
            Ok((row.get::<_, String>(0)? == "expired", row.account(1)?, row.address(2)?))
        })
        .optional()?;
    let (account, address) = match ended {
        None => return Ok(Change::Keep(Proof::Invalid)),
        Some((true, ..)) => return Ok(Change::Keep(Proof::Expired)),
        Some((false, account, address)) => (account, address),
    };
    let proved = connection
        .prepare_cached(
            "UPDATE wallet_links SET proved_at = COALESCE(proved_at, ?3) WHERE account = ?1 AND address = ?2",
        )?
        .execute(params![account.as_bytes(), address.as_bytes(), entry.at.as_unix()]);
    match proved {
        Ok(0) => Ok(Change::Undo(Proof::NotLinked)),
        Err(error) if is_taken(&error) => Ok(Change::Undo(Proof::Taken)),
        Err(error) => Err(error.into()),
        Ok(_) => {
            transaction.record(entry)?;
            Ok(Change::Keep(Proof::Proved))
        }
    }
}

/// Whether the unique index of proved wallets refused.
fn is_taken(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if failure.code == ErrorCode::ConstraintViolation && failure.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}
