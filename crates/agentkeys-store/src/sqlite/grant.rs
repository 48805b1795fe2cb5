use agentkeys_types::{Identity, KeyThumbprint, OmniAccount, RequestIdDigest, SessionId, Timestamp};
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
macro_rules! columns {
    () => {
        "grants.secret, kind, client_name, key_thumbprint, source, grants.created_at, grants.expires_at, \
         redirect_uri, client_state, challenge, user_code, session, account, grants.way, grants.state, opened, \
         grants.identity_type, grants.identity_value, grants.email"
    };
}
pub(super) use columns;

/// Ends a grant that is over.
macro_rules! expire {
    ($key:literal) => {
        concat!(
            "UPDATE grants SET state = 'expired' WHERE ",
            $key,
            " = ?1 AND state IN ('waiting', 'approved') AND expires_at <= ?2"
        )
    };
}

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
                let connection = transaction.connection;
                connection.prepare_cached(expire!("user_code"))?.execute(params![user_code, now.as_unix()])?;
                let found = connection
                    .prepare_cached(concat!(
                        "SELECT ",
                        columns!(),
                        " FROM grants WHERE user_code = ?1 AND state = 'waiting' AND expires_at > ?2"
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
                expire(transaction.connection, secret, now)?;
                let too_soon = transaction
                    .connection
                    .prepare_cached(
                        "UPDATE grants SET \
                             too_soon = COALESCE(asked_at > ?2 - wait, FALSE), \
                             wait = wait + CASE WHEN asked_at > ?2 - wait THEN ?3 ELSE 0 END, \
                             asked_at = ?2 \
                         WHERE secret = ?1 AND state = 'waiting' RETURNING too_soon",
                    )?
                    .query_row(params![secret.0, now.as_unix(), SLOWER_BY], |row| row.get(0))
                    .optional()?;
                Ok(Change::Keep(if too_soon == Some(true) { Polled::TooSoon } else { Polled::InTime }))
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
                let (connection, id) = (transaction.connection, opening.id);
                if !use_up(connection, secret, &opening.identity, None, entry.at)? {
                    return Ok(Change::Keep(Redeemed::Over));
                }
                let (grant, _) = find(connection, secret)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                let opener = Opener { client_name: grant.client_name, key: grant.key, source: Some(grant.source) };
                let account = opening::open(transaction, opening, opener, entry, Some(&notice))?;
                let Some(account) = account else { return Ok(Change::Keep(Redeemed::Retired)) };
                connection
                    .prepare_cached("UPDATE grants SET opened = ?2 WHERE secret = ?1")?
                    .execute(params![secret.0, id.as_bytes()])?;
                Ok(Change::Keep(Redeemed::Opened { account }))
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
                if !use_up(transaction.connection, secret, &link.identity, Some(link.account), entry.at)? {
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

/// Redeems a grant that was approved as this identity: to link it to the account, if one is named, or else to sign in.
fn use_up(
    connection: &Connection,
    secret: RequestIdDigest,
    identity: &Identity,
    account: Option<OmniAccount>,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    expire(connection, secret, now)?;
    let used = connection
        .prepare_cached(
            "UPDATE grants SET state = 'used' WHERE secret = ?1 AND state = 'approved' AND expires_at > ?2 \
             AND identity_type = ?3 AND identity_value = ?4 AND account IS ?5",
        )?
        .execute(params![
            secret.0,
            now.as_unix(),
            identity.identity_type().to_string(),
            identity.value(),
            account.as_ref().map(OmniAccount::as_bytes),
        ])?;
    Ok(used == 1)
}

/// Ends a grant, for good, if it is over.
pub(super) fn expire(connection: &Connection, secret: RequestIdDigest, now: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached(expire!("secret"))?.execute(params![secret.0, now.as_unix()])?;
    Ok(())
}

fn find(connection: &Connection, secret: RequestIdDigest) -> rusqlite::Result<Option<(Grant, GrantState)>> {
    connection
        .prepare_cached(concat!("SELECT ", columns!(), " FROM grants WHERE secret = ?1"))?
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
        "expired" => GrantState::Expired,
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
