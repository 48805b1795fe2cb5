use agentkeys_types::{EvmAddress, OmniAccount, Timestamp};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{SqliteStore, columns::Columns, writer::Change};
use crate::{Entry, StoreError, WalletLink, WalletLinkStore};

#[async_trait]
impl WalletLinkStore for SqliteStore {
    async fn link_wallet(
        &self,
        account: OmniAccount,
        address: EvmAddress,
        entry: Entry,
    ) -> Result<(WalletLink, bool), StoreError> {
        self.writer
            .write(move |transaction| {
                let linked = transaction
                    .connection
                    .prepare_cached(
                        "INSERT INTO wallet_links (account, address, linked_at) VALUES (?1, ?2, ?3) \
                         ON CONFLICT (account, address) DO NOTHING",
                    )?
                    .execute(params![account.as_bytes(), address.as_bytes(), entry.at.as_unix()])?;
                if linked == 1 {
                    transaction.record(&entry)?;
                }
                let link = find(transaction.connection, account, address)?;
                let new = WalletLink { account, address, linked_at: entry.at, proved_at: None };
                Ok(Change::Keep((link.unwrap_or(new), linked == 1)))
            })
            .await
    }

    async fn find_wallet(&self, account: OmniAccount, address: EvmAddress) -> Result<Option<WalletLink>, StoreError> {
        self.readers.read(|connection| find(connection, account, address))
    }

    async fn wallets(&self, account: OmniAccount) -> Result<Vec<WalletLink>, StoreError> {
        self.readers.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT account, address, linked_at, proved_at FROM wallet_links \
                     WHERE account = ?1 ORDER BY linked_at, address",
                )?
                .query_map([account.as_bytes()], wallet_link)?
                .collect()
        })
    }

    async fn unlink_wallet(&self, account: OmniAccount, address: EvmAddress, entry: Entry) -> Result<bool, StoreError> {
        self.writer
            .write(move |transaction| {
                let unlinked = transaction
                    .connection
                    .prepare_cached("DELETE FROM wallet_links WHERE account = ?1 AND address = ?2")?
                    .execute(params![account.as_bytes(), address.as_bytes()])?;
                if unlinked == 1 {
                    transaction.record(&entry)?;
                }
                Ok(Change::Keep(unlinked == 1))
            })
            .await
    }
}

fn find(connection: &Connection, account: OmniAccount, address: EvmAddress) -> rusqlite::Result<Option<WalletLink>> {
    connection
        .prepare_cached(
            "SELECT account, address, linked_at, proved_at FROM wallet_links WHERE account = ?1 AND address = ?2",
        )?
        .query_row(params![account.as_bytes(), address.as_bytes()], wallet_link)
        .optional()
}

fn wallet_link(row: &Row<'_>) -> rusqlite::Result<WalletLink> {
    Ok(WalletLink {
        account: row.account(0)?,
        address: row.address(1)?,
        linked_at: row.time(2)?,
        proved_at: row.get::<_, Option<_>>(3)?.map(Timestamp::from_unix),
    })
}
