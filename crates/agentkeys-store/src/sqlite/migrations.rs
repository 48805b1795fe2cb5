use rusqlite::{Connection, TransactionBehavior};

use super::open::failed;
use crate::StoreError;

/// What made the schema, in order. One that was released is never changed.
const MIGRATIONS: [&str; 5] = [
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0002_bound_sessions.sql"),
    include_str!("../../migrations/0003_mails.sql"),
    include_str!("../../migrations/0004_browser_sign_ins.sql"),
    include_str!("../../migrations/0005_agents.sql"),
];

/// The file was written by a version that knows more than this one.
#[derive(Debug, thiserror::Error)]
#[error("the file has schema {found}, but this version knows only up to {}: use a newer version", MIGRATIONS.len())]
struct NewerSchema {
    found: u32,
}

/// Brings the schema up to date, each step whole or not at all.
pub(super) fn apply(connection: &mut Connection) -> Result<(), StoreError> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let done = usize::try_from(found).unwrap_or(usize::MAX);
        if done > MIGRATIONS.len() {
            return Err(failed(NewerSchema { found }));
        }
        let Some(migration) = MIGRATIONS.get(done) else { return Ok(()) };
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", found + 1)?;
        transaction.commit()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applying_the_migrations_again_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        apply(&mut connection).unwrap();
        connection.execute("INSERT INTO deployment VALUES ('client_id', 'agentkeys')", []).unwrap();

        apply(&mut connection).unwrap();

        let pinned: String = connection.query_row("SELECT value FROM deployment", [], |row| row.get(0)).unwrap();
        assert_eq!(pinned, "agentkeys");
    }
}
