use std::net::IpAddr;

use agentkeys_types::{KeyThumbprint, OmniAccount};

use super::{
    identity_link::{self, Owner},
    mail, session,
    writer::Transaction,
};
use crate::{Entry, IdentityLink, Letter, Outcome, SessionOpening, SessionRecord};

/// What a session gets from whoever asked for it.
pub(super) struct Opener {
    pub(super) client_name: Option<String>,
    pub(super) key: Option<KeyThumbprint>,
    pub(super) source: Option<IpAddr>,
}

/// Opens the account of a proved identity, and records it; `None`, recorded as refused, where the identity is retired.
///
/// An account that existed before hears of it by `notice`.
pub(super) fn open(
    transaction: &mut Transaction<'_>,
    opening: SessionOpening,
    opener: Opener,
    entry: Entry,
    notice: Option<&Letter>,
) -> rusqlite::Result<Option<OmniAccount>> {
    let SessionOpening { identity, email, anchor, id, expires_at } = opening;
    let now = entry.at;
    let link = IdentityLink { identity, email, account: anchor, linked_at: now };
    let account = match identity_link::insert(transaction.connection, &link)? {
        None => anchor,
        Some(Owner { account, is_retired: true }) => {
            record_retired(transaction, account, entry)?;
            return Ok(None);
        }
        Some(Owner { account, is_retired: false }) => {
            if let Some(notice) = notice {
                mail::queue_for_account(transaction, account, notice)?;
            }
            identity_link::note_email(transaction.connection, &link)?;
            account
        }
    };
    let session = SessionRecord {
        client_name: opener.client_name,
        key: opener.key,
        source: opener.source,
        ..SessionRecord::opened(id, account, link.identity, now, expires_at)
    };
    session::insert(transaction.connection, &session)?;
    transaction.record(&Entry { account: Some(account), ..entry })?;
    Ok(Some(account))
}

/// Records that somebody proved an identity with which nobody signs in.
pub(super) fn record_retired(
    transaction: &mut Transaction<'_>,
    account: OmniAccount,
    entry: Entry,
) -> rusqlite::Result<()> {
    transaction.record(&Entry { outcome: Outcome::Retired, account: Some(account), session: None, ..entry })
}
