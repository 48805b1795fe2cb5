use std::{fs, io, path::Path, time::Duration};

use agentkeys_crypto::private_file;
use rusqlite::{Connection, OpenFlags};

use super::migrations;
use crate::StoreError;

/// The first version without a bug that may corrupt a write-ahead log: <https://www.sqlite.org/wal.html>, section 11.
const OLDEST_LIBRARY: i32 = 3_051_003;

/// How long to wait for another process that has the file open.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// More than all the statements that this crate has.
const STATEMENTS: usize = 128;

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("the file is damaged: {0}")]
    Damaged(String),
    #[error("writes would not survive the loss of power: `{pragma}` is `{value}`")]
    NotDurable { pragma: &'static str, value: String },
    #[error("SQLite {0} may corrupt its write-ahead log: 3.51.3 is the oldest that does not")]
    OldLibrary(&'static str),
}

/// Opens the file for the one connection that writes: private, durable, undamaged and of this version's schema.
pub(super) fn for_writing(path: &Path) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < OLDEST_LIBRARY {
        return Err(failed(OpenError::OldLibrary(rusqlite::version())));
    }
    make_private(path).map_err(failed)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    expect(&connection, "journal_mode", "PRAGMA journal_mode = WAL", "wal")?;
    // Without it macOS leaves what was synced in the drive's cache; elsewhere it does nothing.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON")?;
    expect(&connection, "synchronous", "PRAGMA synchronous", "2")?;
    let integrity: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if integrity != "ok" {
        return Err(failed(OpenError::Damaged(integrity)));
    }
    migrations::apply(&mut connection)?;
    Ok(connection)
}

/// Opens one more connection to a file that [`for_writing`] opened before.
pub(super) fn for_reading(path: &Path) -> Result<Connection, StoreError> {
    Ok(connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// A cause of the store's own.
pub(super) fn failed(cause: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError(Box::new(cause))
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Makes the file, empty and private, where there is none, and refuses one that is not private.
fn make_private(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    // SQLite gives the files that it puts beside this one the same mode.
    match private_file::create_new(&path, b"") {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => return created,
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path)?);
        if mode & 0o077 != 0 {
            let advice = format!("{} must be private: chmod 600 it (its mode is {:o})", path.display(), mode & 0o777);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, advice));
        }
    }
    Ok(())
}

fn expect(connection: &Connection, pragma: &'static str, sql: &str, expected: &str) -> Result<(), StoreError> {
    let value: rusqlite::types::Value = connection.query_row(sql, [], |row| row.get(0))?;
    let value = match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    if value == expected { Ok(()) } else { Err(failed(OpenError::NotDurable { pragma, value })) }
}
