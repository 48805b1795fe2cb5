use agentkeys_types::{Identity, KeyThumbprint, RequestIdDigest};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore, browser_sign_in,
    columns::Columns,
    deployment,
    identity_link::{self, Owner},
    limit, mail,
    opening::{self, Opener},
    writer::{Change, Transaction},
};
use crate::{
    Begun, BoundedLetter, CodeAnswer, CodeOutcome, EmailSignIn, EmailSignInStore, Entry, Letter, Limit,
    MOST_WRONG_CODES, Opening, Outcome, Proved, Purpose, StoreError,
};

#[async_trait]
impl EmailSignInStore for SqliteStore {
    async fn begin_email_sign_in(
        &self,
        sign_in: EmailSignIn,
        limits: Vec<Limit>,
        letter: Option<BoundedLetter>,
    ) -> Result<Begun, StoreError> {
        self.writer
            .write(move |transaction| {
                if let Some(retry_after) = limit::count(transaction.connection, &limits, sign_in.created_at)? {
                    return Ok(Change::Undo(Begun::Limited { retry_after }));
                }
                if let Some(letter) = letter
                    && !mail::queue_bounded(transaction, &sign_in.email, &letter)?
                {
                    return Ok(Change::Undo(Begun::QueueFull));
                }
                insert(transaction.connection, &sign_in)?;
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
        self.readers.read(|connection| find(connection, request))
    }

    async fn answer(
        &self,
        answer: CodeAnswer,
        opening: Opening,
        entry: Entry,
        limits: Vec<Limit>,
        notice: Option<Letter>,
    ) -> Result<CodeOutcome, StoreError> {
        self.writer
            .write(move |transaction| {
                if let Some(retry_after) = limit::count(transaction.connection, &limits, answer.now)? {
                    return Ok(Change::Undo(CodeOutcome::Limited { retry_after }));
                }
                let state = judge(transaction.connection, &answer)?;
                Ok(Change::Keep(match state.as_deref() {
                    Some("used") => accept(transaction, &answer, opening, entry, notice.as_ref())?,
                    Some("expired") => CodeOutcome::Over,
                    Some(_) => {
                        record_wrong(transaction, entry)?;
                        CodeOutcome::Wrong
                    }
                    None if is_known(transaction.connection, &answer)? => CodeOutcome::Over,
                    None => {
                        // In the place of the sign-in, so that as much goes to the disk.
                        deployment::probe(transaction.connection)?;
                        record_wrong(transaction, entry)?;
                        CodeOutcome::Unknown
                    }
                }))
            })
            .await
    }
}

/// Lets a sign-in wait for its code.
pub(super) fn insert(connection: &Connection, sign_in: &EmailSignIn) -> rusqlite::Result<()> {
    let (purpose, session, account) = columns(&sign_in.purpose);
    connection
        .prepare_cached(
            "INSERT INTO email_sign_ins \
             (request, email, code_hash, client_name, created_at, expires_at, key_thumbprint, purpose, session, account) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            sign_in.request.0,
            sign_in.email.as_str(),
            sign_in.code_hash,
            sign_in.client_name,
            sign_in.created_at.as_unix(),
            sign_in.expires_at.as_unix(),
            sign_in.key.as_ref().map(KeyThumbprint::as_bytes),
            purpose,
            session,
            account,
        ])?;
    Ok(())
}

fn columns(purpose: &Purpose) -> (&'static str, Option<&[u8; 16]>, Option<&[u8; 32]>) {
    match purpose {
        Purpose::Browser => ("browser", None, None),
        Purpose::Link { session, account } => ("link", Some(session.as_bytes()), Some(account.as_bytes())),
        Purpose::Session => ("session", None, None),
    }
}

/// Finds a sign-in. Where it is not there, its neighbour is read instead, which takes as long.
fn find(connection: &Connection, request: RequestIdDigest) -> rusqlite::Result<Option<EmailSignIn>> {
    let found = connection
        .prepare_cached(
            "SELECT request, email, code_hash, client_name, created_at, expires_at, key_thumbprint, \
             purpose, session, account FROM email_sign_ins WHERE request <= ?1 ORDER BY request DESC LIMIT 1",
        )?
        .query_row([request.0], |row| {
            Ok(EmailSignIn {
                request: row.request(0)?,
                email: row.parsed(1)?,
                code_hash: row.get(2)?,
                client_name: row.get(3)?,
                created_at: row.time(4)?,
                expires_at: row.time(5)?,
                key: row.thumbprint(6)?,
                purpose: match row.get_ref(7)?.as_str()? {
                    "browser" => Purpose::Browser,
                    "link" => Purpose::Link { session: row.session(8)?, account: row.account(9)? },
                    _ => Purpose::Session,
                },
            })
        })
        .optional()?;
    Ok(found.filter(|found| found.request == request))
}

/// Decides on a code, for a sign-in that still waits: its state from now on.
fn judge(connection: &Connection, answer: &CodeAnswer) -> rusqlite::Result<Option<String>> {
    let (purpose, session, _) = columns(&answer.purpose);
    connection
        .prepare_cached(
            "UPDATE email_sign_ins SET \
                 state = CASE WHEN expires_at <= ?3 THEN 'expired' \
                              WHEN code_hash = ?2 THEN 'used' \
                              WHEN wrong_codes + 1 >= ?4 THEN 'tried_too_often' \
                              ELSE 'waiting' END, \
                 wrong_codes = wrong_codes + CASE WHEN expires_at <= ?3 OR code_hash = ?2 THEN 0 ELSE 1 END \
             WHERE request = ?1 AND purpose = ?5 AND session IS ?6 AND state = 'waiting' RETURNING state",
        )?
        .query_row(
            params![answer.request.0, answer.code_hash, answer.now.as_unix(), MOST_WRONG_CODES, purpose, session],
            |row| row.get(0),
        )
        .optional()
}

fn is_known(connection: &Connection, answer: &CodeAnswer) -> rusqlite::Result<bool> {
    let (purpose, session, _) = columns(&answer.purpose);
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM email_sign_ins WHERE request = ?1 AND purpose = ?2 AND session IS ?3)",
        )?
        .query_row(params![answer.request.0, purpose, session], |row| row.get(0))
}

/// Records a wrong code, which opens no session.
fn record_wrong(transaction: &mut Transaction<'_>, entry: Entry) -> rusqlite::Result<()> {
    transaction.record(&Entry { outcome: Outcome::WrongCode, session: None, ..entry })
}

/// Does what the right code does, and records it.
fn accept(
    transaction: &mut Transaction<'_>,
    answer: &CodeAnswer,
    opening: Opening,
    entry: Entry,
    notice: Option<&Letter>,
) -> rusqlite::Result<CodeOutcome> {
    let connection = transaction.connection;
    let waited = find(connection, answer.request)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    match opening {
        Opening::Link(link) => identity_link::link(transaction, &link, entry, notice).map(CodeOutcome::Linked),
        Opening::Proof(identity) => prove_to_browser(transaction, answer, identity, entry),
        Opening::Refused => {
            let account = identity_link::find(connection, &Identity::email(waited.email))?.map(|owner| owner.account);
            transaction.record(&Entry { outcome: Outcome::NotAllowed, account, ..entry })?;
            Ok(CodeOutcome::Accepted { account })
        }
        Opening::Session(opening) => {
            let opener = Opener { client_name: waited.client_name, key: waited.key, source: entry.source };
            let account = opening::open(transaction, opening, opener, entry, notice)?;
            Ok(account.map_or(CodeOutcome::Retired, |account| CodeOutcome::Accepted { account: Some(account) }))
        }
    }
}

/// Lets the browser that waits for the code decide as this identity.
fn prove_to_browser(
    transaction: &mut Transaction<'_>,
    answer: &CodeAnswer,
    identity: Identity,
    entry: Entry,
) -> rusqlite::Result<CodeOutcome> {
    let connection = transaction.connection;
    if !browser_sign_in::answer(connection, answer.request, true, answer.now)? {
        return Ok(CodeOutcome::Over);
    }
    if let Some(Owner { account, is_retired: true }) = identity_link::find(connection, &identity)? {
        opening::record_retired(transaction, account, entry)?;
        return Ok(CodeOutcome::Retired);
    }
    browser_sign_in::prove(connection, answer.request, &Proved { identity, email: None })?;
    Ok(CodeOutcome::Accepted { account: None })
}
