use agentkeys_types::{EmailAddress, RequestIdDigest, Timestamp};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore,
    columns::Columns,
    grant, limit, mail, sign_in,
    writer::{Change, Transaction},
};
use crate::{
    Beginning, Begun, BrowserSignIn, BrowserSignInStore, BrowserState, CODE_KEPT, Decided, Decision, Entry,
    FoundBrowser, Limit, Proved, StoreError,
};

#[async_trait]
impl BrowserSignInStore for SqliteStore {
    async fn begin_browser_sign_in(&self, beginning: Beginning, limits: Vec<Limit>) -> Result<Begun, StoreError> {
        self.writer
            .write(move |transaction| {
                let Beginning { sign_in, grant, email } = beginning;
                let connection = transaction.connection;
                if let Some(retry_after) = limit::count(connection, &limits, sign_in.created_at)? {
                    return Ok(Change::Undo(Begun::Limited { retry_after }));
                }
                insert(connection, &sign_in)?;
                if let Some(grant) = grant {
                    grant::insert(connection, &grant)?;
                }
                if let Some((email, letter)) = email {
                    if let Some(letter) = letter
                        && !mail::queue_bounded(transaction, &email.email, &letter)?
                    {
                        return Ok(Change::Undo(Begun::QueueFull));
                    }
                    sign_in::insert(connection, &email)?;
                }
                Ok(Change::Keep(Begun::Begun))
            })
            .await
    }

    async fn find_browser_sign_in(&self, request: RequestIdDigest) -> Result<Option<FoundBrowser>, StoreError> {
        self.readers.read(|connection| find(connection, request))
    }

    async fn answer_browser_sign_in(&self, request: RequestIdDigest, now: Timestamp) -> Result<bool, StoreError> {
        self.writer
            .write(move |transaction| Ok(Change::Keep(answer(transaction.connection, request, false, now)?)))
            .await
    }

    async fn prove_browser_sign_in(&self, request: RequestIdDigest, proved: Proved) -> Result<bool, StoreError> {
        self.writer.write(move |transaction| Ok(Change::Keep(prove(transaction.connection, request, &proved)?))).await
    }

    async fn decide(&self, request: RequestIdDigest, decision: Decision, entry: Entry) -> Result<Decided, StoreError> {
        self.writer.write(move |transaction| Ok(Change::Keep(decide(transaction, request, &decision, &entry)?))).await
    }
}

/// Takes the answer that a browser waits for: the right code by mail, or that of a provider.
pub(super) fn answer(
    connection: &Connection,
    request: RequestIdDigest,
    is_code: bool,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    expire(connection, request, now)?;
    let taken = connection
        .prepare_cached(
            "UPDATE browser_sign_ins SET state = 'answered' \
             WHERE request = ?1 AND state = 'waiting' AND (way = 'email') = ?2 AND expires_at > ?3",
        )?
        .execute(params![request.0, is_code, now.as_unix()])?;
    Ok(taken == 1)
}

/// Lets the person decide as the identity that was proved.
pub(super) fn prove(connection: &Connection, request: RequestIdDigest, proved: &Proved) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE browser_sign_ins SET state = 'proved', identity_type = ?2, identity_value = ?3, email = ?4 \
             WHERE request = ?1 AND state = 'answered'",
        )?
        .execute(params![
            request.0,
            proved.identity.identity_type().to_string(),
            proved.identity.value(),
            proved.email.as_ref().map(EmailAddress::as_str),
        ])?;
    Ok(changed == 1)
}

fn decide(
    transaction: &mut Transaction<'_>,
    request: RequestIdDigest,
    decision: &Decision,
    entry: &Entry,
) -> rusqlite::Result<Decided> {
    let (connection, now) = (transaction.connection, entry.at);
    expire(connection, request, now)?;
    let grant: Option<RequestIdDigest> = connection
        .prepare_cached(
            "UPDATE browser_sign_ins SET state = 'decided' \
             WHERE request = ?1 AND state = 'proved' AND expires_at > ?2 RETURNING grant_secret",
        )?
        .query_row(params![request.0, now.as_unix()], |row| row.request(0))
        .optional()?;
    let Some(grant) = grant else { return Ok(Decided::Over) };
    if !decide_grant(connection, grant, request, decision, now)? {
        connection
            .prepare_cached("UPDATE browser_sign_ins SET state = 'over' WHERE request = ?1")?
            .execute([request.0])?;
        return Ok(Decided::Over);
    }
    if matches!(decision, Decision::Refuse) {
        transaction.record(entry)?;
    }
    Ok(Decided::Done)
}

/// Takes the decision for a grant that waits, if it does.
fn decide_grant(
    connection: &Connection,
    grant: RequestIdDigest,
    request: RequestIdDigest,
    decision: &Decision,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    grant::expire(connection, grant, now)?;
    let decided = match decision {
        // A code is redeemed at once, by a client on the same machine.
        Decision::Approve => connection
            .prepare_cached(
                "UPDATE grants SET state = 'approved', identity_type = browser.identity_type, \
                     identity_value = browser.identity_value, email = browser.email, \
                     expires_at = CASE kind WHEN 'code' THEN MIN(grants.expires_at, ?4) ELSE grants.expires_at END \
                 FROM (SELECT * FROM browser_sign_ins WHERE request = ?2) AS browser \
                 WHERE secret = ?1 AND grants.state = 'waiting' AND grants.expires_at > ?3",
            )?
            .execute(params![grant.0, request.0, now.as_unix(), now.after(CODE_KEPT).as_unix()])?,
        Decision::Refuse => connection
            .prepare_cached(
                "UPDATE grants SET state = 'refused' WHERE secret = ?1 AND state = 'waiting' AND expires_at > ?2",
            )?
            .execute(params![grant.0, now.as_unix()])?,
    };
    Ok(decided == 1)
}

/// Ends a browser, for good, if it is over.
fn expire(connection: &Connection, request: RequestIdDigest, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE browser_sign_ins SET state = 'over' WHERE request = ?1 AND state <> 'decided' AND expires_at <= ?2",
        )?
        .execute(params![request.0, now.as_unix()])?;
    Ok(())
}

fn insert(connection: &Connection, sign_in: &BrowserSignIn) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO browser_sign_ins (request, browser, grant_secret, way, created_at, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            sign_in.request.0,
            sign_in.browser.0,
            sign_in.grant.0,
            sign_in.way.to_string(),
            sign_in.created_at.as_unix(),
            sign_in.expires_at.as_unix(),
        ])?;
    Ok(())
}

fn find(connection: &Connection, request: RequestIdDigest) -> rusqlite::Result<Option<FoundBrowser>> {
    connection
        .prepare_cached(concat!(
            "SELECT ",
            grant::columns!(),
            ", request, browser, browser.way, browser.created_at, browser.expires_at, browser.state, \
             browser.identity_type, browser.identity_value, browser.email \
             FROM browser_sign_ins AS browser JOIN grants ON secret = grant_secret WHERE request = ?1"
        ))?
        .query_row([request.0], |row| {
            let sign_in = BrowserSignIn {
                request: row.request(19)?,
                browser: row.request(20)?,
                grant: row.request(0)?,
                way: row.parsed(21)?,
                created_at: row.time(22)?,
                expires_at: row.time(23)?,
            };
            Ok(FoundBrowser { sign_in, state: state(row)?, grant: grant::grant(row)?, grant_state: grant::state(row)? })
        })
        .optional()
}

fn state(row: &Row<'_>) -> rusqlite::Result<BrowserState> {
    Ok(match row.get_ref(24)?.as_str()? {
        "answered" => BrowserState::Answered,
        "decided" => BrowserState::Decided,
        "over" => BrowserState::Over,
        "proved" => BrowserState::Proved(grant::proved(row, 25)?),
        _ => BrowserState::Waiting,
    })
}
