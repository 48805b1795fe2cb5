use agentkeys_types::{EmailAddress, Identity, KeyThumbprint, OmniAccount, RequestIdDigest};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore,
    columns::Columns,
    identity_link, limit, session,
    writer::{Change, Transaction},
};
use crate::{
    Begun, CodeAnswer, CodeOutcome, EmailSignIn, EmailSignInStore, Entry, IdentityLink, Limit, MOST_WRONG_CODES,
    Opening, Outcome, SessionRecord, StoreError,
};

/// The request id of the decoy, a row that stands in for what is not there, so that a miss costs what a hit costs: it
/// is read, decoded and, where a code is answered, written. No digest is ever all ones.
macro_rules! decoy {
    () => {
        "X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'"
    };
}

pub(super) use decoy;

/// Finds the row of the request `?1`, or the decoy where there is none: either way the places of both are read.
macro_rules! asked_or_decoy {
    () => {
        concat!(
            "request = COALESCE((SELECT request FROM email_sign_ins WHERE request = ?1), ",
            decoy!(),
            ") AND EXISTS (SELECT 1 FROM email_sign_ins WHERE request = ",
            decoy!(),
            ")"
        )
    };
}

#[async_trait]
impl EmailSignInStore for SqliteStore {
    async fn begin_email_sign_in(&self, sign_in: EmailSignIn, limits: Vec<Limit>) -> Result<Begun, StoreError> {
        self.writer
            .write(move |transaction| {
                if let Some(retry_after) = limit::count(transaction.connection, &limits, sign_in.created_at)? {
                    return Ok(Change::Undo(Begun::Limited { retry_after }));
                }
                transaction
                    .connection
                    .prepare_cached(
                        "INSERT INTO email_sign_ins \
                         (request, email, code_hash, client_name, created_at, expires_at, key_thumbprint) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        sign_in.request.0,
                        sign_in.email.as_str(),
                        sign_in.code_hash,
                        sign_in.client_name,
                        sign_in.created_at.as_unix(),
                        sign_in.expires_at.as_unix(),
                        sign_in.key.as_ref().map(KeyThumbprint::as_bytes),
                    ])?;
                Ok(Change::Keep(Begun::Begun))
            })
            .await
    }

    async fn cancel_email_sign_in(&self, request: RequestIdDigest) -> Result<(), StoreError> {
        self.writer
            .write(move |transaction| {
                transaction
                    .connection
                    .prepare_cached("DELETE FROM email_sign_ins WHERE request = ?1")?
                    .execute([request.0])?;
                Ok(Change::Keep(()))
            })
            .await
    }

    async fn find_email_sign_in(&self, request: RequestIdDigest) -> Result<Option<EmailSignIn>, StoreError> {
        let found = self.readers.read(|connection| {
            connection
                .prepare_cached(concat!(
                    "SELECT request, email, code_hash, client_name, created_at, expires_at, key_thumbprint \
                     FROM email_sign_ins WHERE ",
                    asked_or_decoy!()
                ))?
                .query_row([request.0], |row| {
                    Ok(EmailSignIn {
                        request: row.request(0)?,
                        email: row.parsed(1)?,
                        code_hash: row.get(2)?,
                        client_name: row.get(3)?,
                        created_at: row.time(4)?,
                        expires_at: row.time(5)?,
                        key: row.thumbprint(6)?,
                    })
                })
                .optional()
        })?;
        Ok(found.filter(|found| found.request == request))
    }

    async fn answer(&self, answer: CodeAnswer, opening: Opening, entry: Entry) -> Result<CodeOutcome, StoreError> {
        self.writer
            .write(move |transaction| {
                let Some(judged) = judge(transaction.connection, &answer)? else {
                    return Ok(Change::Keep(CodeOutcome::Over));
                };
                Ok(Change::Keep(match judged.state.as_str() {
                    "used" => {
                        let account = accept(transaction, &answer, opening, entry, judged)?;
                        CodeOutcome::Accepted { account }
                    }
                    "expired" => CodeOutcome::Over,
                    _ => {
                        transaction.record(&Entry { outcome: Outcome::WrongCode, ..entry })?;
                        if judged.request == answer.request { CodeOutcome::Wrong } else { CodeOutcome::Unknown }
                    }
                }))
            })
            .await
    }
}

/// A sign-in that was answered while it waited, and its state from now on.
struct Judged {
    request: RequestIdDigest,
    state: String,
    email: EmailAddress,
    client_name: Option<String>,
    key: Option<KeyThumbprint>,
}

/// Decides on a code, for a sign-in that still waits; for an unknown one the decoy is answered, never rightly.
fn judge(connection: &Connection, answer: &CodeAnswer) -> rusqlite::Result<Option<Judged>> {
    connection
        .prepare_cached(concat!(
            "UPDATE email_sign_ins SET \
                 state = CASE WHEN request <> ?1 THEN 'waiting' \
                              WHEN expires_at <= ?3 THEN 'expired' \
                              WHEN code_hash = ?2 THEN 'used' \
                              WHEN wrong_codes + 1 >= ?4 THEN 'tried_too_often' \
                              ELSE 'waiting' END, \
                 wrong_codes = CASE WHEN request <> ?1 THEN 1 - wrong_codes \
                                    WHEN expires_at <= ?3 OR code_hash = ?2 THEN wrong_codes \
                                    ELSE wrong_codes + 1 END \
             WHERE ",
            asked_or_decoy!(),
            " AND state = 'waiting' RETURNING request, state, email, client_name, key_thumbprint"
        ))?
        .query_row(params![answer.request.0, answer.code_hash, answer.now.as_unix(), MOST_WRONG_CODES], |row| {
            Ok(Judged {
                request: row.request(0)?,
                state: row.get(1)?,
                email: row.parsed(2)?,
                client_name: row.get(3)?,
                key: row.thumbprint(4)?,
            })
        })
        .optional()
}

/// Opens what the right code opens, and records it.
fn accept(
    transaction: &mut Transaction<'_>,
    answer: &CodeAnswer,
    opening: Opening,
    entry: Entry,
    waited: Judged,
) -> rusqlite::Result<Option<OmniAccount>> {
    let Judged { email, client_name, key, .. } = waited;
    let connection = transaction.connection;
    let now = answer.now;
    let (account, outcome) = match opening {
        Opening::Refused => (identity_link::find(connection, &Identity::email(email))?, Outcome::NotAllowed),
        Opening::Session { identity, anchor, id, expires_at } => {
            let link = IdentityLink { identity, account: anchor, linked_at: now };
            let account = identity_link::insert(connection, &link)?.unwrap_or(anchor);
            let identity = link.identity;
            let session = SessionRecord {
                id,
                account,
                identity,
                client_name,
                created_at: now,
                auth_time: now,
                expires_at,
                revoked_at: None,
                key,
                source: entry.source,
                last_used_at: None,
                renewed_at: None,
            };
            session::insert(connection, &session)?;
            (Some(account), entry.outcome)
        }
    };
    transaction.record(&Entry { outcome, account, ..entry })?;
    Ok(account)
}
