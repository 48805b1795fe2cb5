use agentkeys_types::{Identity, OmniAccount};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStore, columns::Columns, writer::Change};
use crate::{Entry, IdentityLink, IdentityLinkStore, Linking, StoreError};

#[async_trait]
impl IdentityLinkStore for SqliteStore {
    async fn find_account(&self, identity: &Identity) -> Result<Option<OmniAccount>, StoreError> {
        self.readers.read(|connection| find(connection, identity))
    }

    async fn identities(&self, account: OmniAccount) -> Result<Vec<IdentityLink>, StoreError> {
        self.readers.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT identity_type, identity_value, account, linked_at FROM identity_links \
                     WHERE account = ?1 ORDER BY linked_at, identity_type, identity_value",
                )?
                .query_map([account.as_bytes()], |row| {
                    Ok(IdentityLink { identity: row.identity(0)?, account: row.account(2)?, linked_at: row.time(3)? })
                })?
                .collect()
        })
    }

    async fn link_identity(&self, link: IdentityLink, entry: Entry) -> Result<Linking, StoreError> {
        self.writer
            .write(move |transaction| {
                let account = insert(transaction.connection, &link)?;
                Ok(Change::Keep(match account {
                    None => {
                        transaction.record(&entry)?;
                        Linking::Linked
                    }
                    Some(account) if account == link.account => Linking::Already,
                    Some(_) => Linking::Taken,
                }))
            })
            .await
    }
}

/// The account that an identity opens.
pub(super) fn find(connection: &Connection, identity: &Identity) -> rusqlite::Result<Option<OmniAccount>> {
    connection
        .prepare_cached("SELECT account FROM identity_links WHERE identity_type = ?1 AND identity_value = ?2")?
        .query_row(params![identity.identity_type().to_string(), identity.value()], |row| row.account(0))
        .optional()
}

/// Links an identity, unless it opens an account already, which is returned.
pub(super) fn insert(connection: &Connection, link: &IdentityLink) -> rusqlite::Result<Option<OmniAccount>> {
    let linked = connection
        .prepare_cached(
            "INSERT INTO identity_links (identity_type, identity_value, account, linked_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (identity_type, identity_value) DO NOTHING",
        )?
        .execute(params![
            link.identity.identity_type().to_string(),
            link.identity.value(),
            link.account.as_bytes(),
            link.linked_at.as_unix(),
        ])?;
    if linked == 1 { Ok(None) } else { find(connection, &link.identity) }
}
