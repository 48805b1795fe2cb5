use agentkeys_types::{KeyThumbprint, RequestIdDigest, SessionId, Timestamp};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};

use super::{
    SqliteStore,
    columns::{Columns, Octets},
    identity_link, limit,
    opening::{self, Opener},
    writer::Change,
};
use crate::{
    Begun, DeviceLookup, Entry, Grant, GrantKind, GrantState, GrantStore, IdentityLink, Letter, Limit, Linking,
    POLL_INTERVAL, Polled, Proved, Redeemed, SessionOpening, StoreError,
};

/// The columns of a [`Grant`] and its [`GrantState`], in the order in which [`grant`] and [`state`] read them.
pub(super) const COLUMNS: &str = "grants.secret, kind, client_name, key_thumbprint, source, grants.created_at, \
    grants.expires_at, redirect_uri, client_state, challenge, user_code, session, account, grants.way, grants.state, \
    opened, grants.identity_type, grants.identity_value, grants.email";
/// RFC 8628 section 3.5.
const SLOWER_BY: i64 = 5;

#[async_trait]
impl GrantStore for SqliteStore {
    async fn begin_grant(&self, grant: Grant, limits: Vec<Limit>) -> Result<Begun, StoreError> {
        self.writer
            .write(move |transaction| {
                if let Some(retry_after) = limit::count(transaction.connection, &limits, grant.created_at)? {
                    return Ok(Change::Undo(Begun::Limited { retry_after }));
                }
                insert(transaction.connection, &grant)?;
                Ok(Change::Keep(Begun::Begun))
            })
            .await
    }

    async fn find_grant(&self, secret: RequestIdDigest) -> Result<Option<(Grant, GrantState)>, StoreError> {
        self.readers.read(|connection| find(connection, secret))
    }

    async fn find_device_grant(
        &self,
        user_code: [u8; 32],
        now: Timestamp,
        limits: Vec<Limit>,
    ) -> Result<DeviceLookup, StoreError> {
        self.writer
            .write(move |transaction| {
                if let Some(retry_after) = limit::count(transaction.connection, &limits, now)? {
                    return Ok(Change::Undo(DeviceLookup::Limited { retry_after }));
                }
                let found = transaction
                    .connection
                    .prepare_cached(&format!(
                        "SELECT {COLUMNS} FROM grants WHERE user_code = ?1 AND state = 'waiting' AND expires_at > ?2"
                    ))?
                    .query_row(params![user_code, now.as_unix()], grant)
                    .optional()?;
                Ok(Change::Keep(found.map_or(DeviceLookup::Unknown, |grant| DeviceLookup::Found(Box::new(grant)))))
            })
            .await
    }

    async fn poll_grant(&self, secret: RequestIdDigest, now: Timestamp) -> Result<Polled, StoreError> {
        self.writer
            .write(move |transaction| {
                // What the client waits for grows only where it asked too soon, and so tells that it did.
                let waits: Option<(i64, i64)> = transaction
                    .connection
                    .prepare_cached(
                        "UPDATE grants SET asked_at = ?2, \
                             wait = wait + CASE WHEN asked_at > ?2 - wait THEN ?3 ELSE 0 END \
                         FROM (SELECT wait AS waited FROM grants WHERE secret = ?1) AS before \
                         WHERE secret = ?1 AND state = 'waiting' RETURNING wait, waited",
                    )?
                    .query_row(params![secret.0, now.as_unix(), SLOWER_BY], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                let is_too_soon = waits.is_some_and(|(wait, waited)| wait > waited);
                Ok(Change::Keep(if is_too_soon { Polled::TooSoon } else { Polled::InTime }))
            })
            .await
    }

    async fn redeem_grant(
        &self,
        secret: RequestIdDigest,
        opening: SessionOpening,
        entry: Entry,
        notice: Letter,
    ) -> Result<Redeemed, StoreError> {
        self.writer
            .write(move |transaction| {
                if !use_up(transaction.connection, secret, entry.at, Some(opening.id))? {
                    return Ok(Change::Keep(Redeemed::Over));
                }
                let (grant, _) = find(transaction.connection, secret)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                let opener = Opener { client_name: grant.client_name, key: grant.key, source: Some(grant.source) };
                let opened = opening::open(transaction, opening, opener, entry, Some(&notice))?;
                Ok(Change::Keep(match opened {
                    Some(account) => Redeemed::Opened { account },
                    None => Redeemed::Retired,
                }))
            })
            .await
    }

    async fn redeem_link(
        &self,
        secret: RequestIdDigest,
        link: IdentityLink,
        entry: Entry,
        notice: Letter,
    ) -> Result<Option<Linking>, StoreError> {
        self.writer
            .write(move |transaction| {
                if !use_up(transaction.connection, secret, entry.at, None)? {
                    return Ok(Change::Keep(None));
                }
                Ok(Change::Keep(Some(identity_link::link(transaction, &link, entry, Some(&notice))?)))
            })
            .await
    }
}

/// Lets a grant wait.
pub(super) fn insert(connection: &Connection, grant: &Grant) -> rusqlite::Result<()> {
    let (kind, code, user_code, link) = match &grant.kind {
        GrantKind::Code { redirect_uri, state, challenge } => {
            ("code", Some((redirect_uri, state, challenge)), None, None)
        }
        GrantKind::Device { user_code } => ("device", None, Some(user_code), None),
        GrantKind::Link { session, account, way } => ("link", None, None, Some((session, account, way))),
    };
    connection
        .prepare_cached(
            "INSERT INTO grants (secret, kind, client_name, key_thumbprint, source, created_at, expires_at, \
             redirect_uri, client_state, challenge, user_code, session, account, way, wait) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            grant.secret.0,
            kind,
            grant.client_name,
            grant.key.as_ref().map(KeyThumbprint::as_bytes),
            Octets::of(grant.source).as_slice(),
            grant.created_at.as_unix(),
            grant.expires_at.as_unix(),
            code.map(|(redirect_uri, _, _)| redirect_uri),
            code.map(|(_, state, _)| state),
            code.map(|(_, _, challenge)| challenge),
            user_code,
            link.map(|(session, _, _)| session.as_bytes()),
            link.map(|(_, account, _)| account.as_bytes()),
            link.map(|(_, _, way)| way.to_string()),
            i64::try_from(POLL_INTERVAL.as_secs()).unwrap_or(i64::MAX),
        ])?;
    Ok(())
}

/// Redeems an approved grant, if it is one.
fn use_up(
    connection: &Connection,
    secret: RequestIdDigest,
    now: Timestamp,
    opened: Option<SessionId>,
) -> rusqlite::Result<bool> {
    let used = connection
        .prepare_cached(
            "UPDATE grants SET state = 'used', opened = ?3 \
             WHERE secret = ?1 AND state = 'approved' AND expires_at > ?2",
        )?
        .execute(params![secret.0, now.as_unix(), opened.as_ref().map(SessionId::as_bytes)])?;
    Ok(used == 1)
}

fn find(connection: &Connection, secret: RequestIdDigest) -> rusqlite::Result<Option<(Grant, GrantState)>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM grants WHERE secret = ?1"))?
        .query_row([secret.0], |row| Ok((grant(row)?, state(row)?)))
        .optional()
}

pub(super) fn grant(row: &Row<'_>) -> rusqlite::Result<Grant> {
    let kind = match row.get_ref(1)?.as_str()? {
        "code" => GrantKind::Code { redirect_uri: row.get(7)?, state: row.get(8)?, challenge: row.get(9)? },
        "device" => GrantKind::Device { user_code: row.get(10)? },
        "link" => GrantKind::Link { session: row.session(11)?, account: row.account(12)?, way: row.parsed(13)? },
        _ => return Err(unknown(1)),
    };
    Ok(Grant {
        secret: row.request(0)?,
        kind,
        client_name: row.get(2)?,
        key: row.thumbprint(3)?,
        source: row.source(4)?.ok_or_else(|| unknown(4))?,
        created_at: row.time(5)?,
        expires_at: row.time(6)?,
    })
}

pub(super) fn state(row: &Row<'_>) -> rusqlite::Result<GrantState> {
    Ok(match row.get_ref(14)?.as_str()? {
        "approved" => GrantState::Approved(proved(row, 16)?),
        "refused" => GrantState::Refused,
        "used" => GrantState::Used { opened: row.get::<_, Option<_>>(15)?.map(SessionId::from_bytes) },
        _ => GrantState::Waiting,
    })
}

/// From three columns: type, value and address.
pub(super) fn proved(row: &Row<'_>, index: usize) -> rusqlite::Result<Proved> {
    Ok(Proved { identity: row.identity(index)?, email: row.parsed_or_null(index + 2)? })
}

fn unknown(index: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(index, "grants".to_owned(), Type::Text)
}
