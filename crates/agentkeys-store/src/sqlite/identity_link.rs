use agentkeys_types::{EmailAddress, Identity, OmniAccount};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore,
    columns::Columns,
    mail, session,
    writer::{Change, Transaction},
};
use crate::{Entry, IdentityLink, IdentityLinkStore, Letter, Linking, Outcome, StoreError, Unlinking};

/// The account to which an identity belongs.
pub(super) struct Owner {
    pub(super) account: OmniAccount,
    pub(super) is_retired: bool,
}

#[async_trait]
impl IdentityLinkStore for SqliteStore {
    async fn find_account(&self, identity: &Identity) -> Result<Option<OmniAccount>, StoreError> {
        let owner = self.readers.read(|connection| find(connection, identity))?;
        Ok(owner.filter(|owner| !owner.is_retired).map(|owner| owner.account))
    }

    async fn is_retired(&self, identity: &Identity) -> Result<bool, StoreError> {
        let owner = self.readers.read(|connection| find(connection, identity))?;
        Ok(owner.is_some_and(|owner| owner.is_retired))
    }

    async fn identities(&self, account: OmniAccount) -> Result<Vec<IdentityLink>, StoreError> {
        self.readers.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT identity_type, identity_value, account, linked_at, email FROM identity_links \
                     WHERE account = ?1 AND retired_at IS NULL ORDER BY linked_at, identity_type, identity_value",
                )?
                .query_map([account.as_bytes()], |row| {
                    Ok(IdentityLink {
                        identity: row.identity(0)?,
                        account: row.account(2)?,
                        linked_at: row.time(3)?,
                        email: row.parsed_or_null(4)?,
                    })
                })?
                .collect()
        })
    }

    async fn link_identity(
        &self,
        identity: IdentityLink,
        entry: Entry,
        notice: Option<Letter>,
    ) -> Result<Linking, StoreError> {
        self.writer
            .write(move |transaction| Ok(Change::Keep(link(transaction, &identity, entry, notice.as_ref())?)))
            .await
    }

    async fn unlink_identity(
        &self,
        account: OmniAccount,
        identity: Identity,
        is_anchor: bool,
        entry: Entry,
        notice: Letter,
    ) -> Result<Unlinking, StoreError> {
        self.writer
            .write(move |transaction| {
                // Before it goes, so that its own address hears of it too.
                mail::queue_for_account(transaction, account, &notice)?;
                if !remove(transaction.connection, account, &identity, is_anchor, &entry)? {
                    let owner = find(transaction.connection, &identity)?;
                    let is_there = owner.is_some_and(|owner| owner.account == account && !owner.is_retired);
                    return Ok(Change::Undo(if is_there { Unlinking::Last } else { Unlinking::NotFound }));
                }
                let revoked = session::revoke_opened_by(transaction.connection, account, &identity, entry.at)?;
                transaction.record(&entry)?;
                Ok(Change::Keep(Unlinking::Unlinked { revoked }))
            })
            .await
    }
}

/// The account to which an identity belongs.
pub(super) fn find(connection: &Connection, identity: &Identity) -> rusqlite::Result<Option<Owner>> {
    connection
        .prepare_cached(
            "SELECT account, retired_at IS NOT NULL FROM identity_links \
             WHERE identity_type = ?1 AND identity_value = ?2",
        )?
        .query_row(params![identity.identity_type().to_string(), identity.value()], |row| {
            Ok(Owner { account: row.account(0)?, is_retired: row.get(1)? })
        })
        .optional()
}

/// Links an identity, unless it belongs to an account already, which is returned.
pub(super) fn insert(connection: &Connection, link: &IdentityLink) -> rusqlite::Result<Option<Owner>> {
    let linked = connection
        .prepare_cached(
            "INSERT INTO identity_links (identity_type, identity_value, account, linked_at, email) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (identity_type, identity_value) DO NOTHING",
        )?
        .execute(params![
            link.identity.identity_type().to_string(),
            link.identity.value(),
            link.account.as_bytes(),
            link.linked_at.as_unix(),
            link.email.as_ref().map(EmailAddress::as_str),
        ])?;
    if linked == 1 {
        return Ok(None);
    }
    find(connection, &link.identity)?.ok_or(rusqlite::Error::QueryReturnedNoRows).map(Some)
}

/// Links an identity for whoever owns the account, which may have retired it before.
pub(super) fn link(
    transaction: &mut Transaction<'_>,
    link: &IdentityLink,
    entry: Entry,
    notice: Option<&Letter>,
) -> rusqlite::Result<Linking> {
    let owner = insert(transaction.connection, link)?;
    if owner.as_ref().is_some_and(|owner| owner.account != link.account) {
        transaction.record(&Entry { outcome: Outcome::Taken, ..entry })?;
        return Ok(Linking::Taken);
    }
    if owner.is_some() && !reinstate(transaction.connection, link)? {
        note_email(transaction.connection, link)?;
        return Ok(Linking::Already);
    }
    if let Some(notice) = notice {
        mail::queue_for_account(transaction, link.account, notice)?;
    }
    transaction.record(&entry)?;
    Ok(Linking::Linked)
}

/// Keeps the address that the provider has now.
pub(super) fn note_email(connection: &Connection, link: &IdentityLink) -> rusqlite::Result<()> {
    let Some(email) = &link.email else { return Ok(()) };
    connection
        .prepare_cached(
            "UPDATE identity_links SET email = ?3 \
             WHERE identity_type = ?1 AND identity_value = ?2 AND email IS NOT ?3",
        )?
        .execute(params![link.identity.identity_type().to_string(), link.identity.value(), email.as_str()])?;
    Ok(())
}

/// Lets an identity open its account again, if it is retired.
fn reinstate(connection: &Connection, link: &IdentityLink) -> rusqlite::Result<bool> {
    let reinstated = connection
        .prepare_cached(
            "UPDATE identity_links SET retired_at = NULL, linked_at = ?4, email = ?5 \
             WHERE identity_type = ?1 AND identity_value = ?2 AND account = ?3 AND retired_at IS NOT NULL",
        )?
        .execute(params![
            link.identity.identity_type().to_string(),
            link.identity.value(),
            link.account.as_bytes(),
            link.linked_at.as_unix(),
            link.email.as_ref().map(EmailAddress::as_str),
        ])?;
    Ok(reinstated == 1)
}

/// Takes an identity away, unless it is the last one.
fn remove(
    connection: &Connection,
    account: OmniAccount,
    identity: &Identity,
    is_anchor: bool,
    entry: &Entry,
) -> rusqlite::Result<bool> {
    macro_rules! unless_last {
        ($change:literal) => {
            concat!(
                $change,
                " WHERE account = ?1 AND identity_type = ?2 AND identity_value = ?3 AND retired_at IS NULL \
                 AND (SELECT COUNT(*) FROM identity_links WHERE account = ?1 AND retired_at IS NULL) > 1"
            )
        };
    }
    let (identity_type, value) = (identity.identity_type().to_string(), identity.value());
    let changed = if is_anchor {
        connection.prepare_cached(unless_last!("UPDATE identity_links SET retired_at = ?4"))?.execute(params![
            account.as_bytes(),
            identity_type,
            value,
            entry.at.as_unix()
        ])?
    } else {
        connection.prepare_cached(unless_last!("DELETE FROM identity_links"))?.execute(params![
            account.as_bytes(),
            identity_type,
            value
        ])?
    };
    Ok(changed == 1)
}
