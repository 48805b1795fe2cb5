//! Whoever changes the audit record behind the store's back is found out.

use std::sync::OnceLock;

use agentkeys_store::{Action, AuditStore, Entry, Outcome, SqliteStore, verify_chain};
use agentkeys_types::{OmniAccount, SessionId, Timestamp};
use proptest::prelude::*;
use rusqlite::{Connection, params, types::Value};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const COLUMNS: [&str; 9] = ["sequence", "at", "action", "outcome", "account", "session", "subject", "source", "hash"];
const ENTRIES: u8 = 6;

/// A store with a few entries, and a way around it.
struct Tampered {
    runtime: Runtime,
    store: SqliteStore,
    file: Connection,
    _folder: TempDir,
}

impl Tampered {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker.db");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = SqliteStore::open(&path).unwrap();
        for number in 0..ENTRIES {
            let known = number % 2 == 0;
            let entry = Entry {
                at: Timestamp::from_unix(1_800_000_000 + i64::from(number)),
                action: Action::MintOidcJwt,
                outcome: Outcome::Done,
                account: known.then(|| OmniAccount::from_bytes([number; 32])),
                session: known.then(|| SessionId::from_bytes([number; 16])),
                subject: format!("aud=sts.amazonaws.com jti={number}"),
                source: known.then(|| if number == 0 { [127, 0, 0, 1].into() } else { [0x20; 16].into() }),
            };
            runtime.block_on(store.append(entry, vec![])).unwrap();
        }
        let file = Connection::open(&path).unwrap();
        file.pragma_update(None, "synchronous", "OFF").unwrap();
        Self { runtime, store, file, _folder: folder }
    }

    fn is_found_out(&self) -> bool {
        let entries = self.runtime.block_on(self.store.entries_after(0, u32::MAX));
        entries.map_or(true, |entries| verify_chain([0; 32], &entries).is_err())
    }

    /// Whether `statement` is found out, which is then taken back.
    fn finds(&self, statement: &str) -> bool {
        self.file.execute_batch("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT * FROM audit_entries").unwrap();
        self.file.execute_batch(statement).unwrap();
        let found = self.is_found_out();
        self.file.execute_batch("DELETE FROM audit_entries; INSERT INTO audit_entries SELECT * FROM kept").unwrap();
        assert!(!self.is_found_out());
        found
    }
}

fn changed(value: &Value, at: prop::sample::Index, mask: u8) -> Value {
    let flip = |mut bytes: Vec<u8>| {
        if bytes.is_empty() {
            bytes.push(mask);
        } else {
            *at.get_mut(&mut bytes) ^= mask;
        }
        bytes
    };
    match value {
        Value::Null => Value::Blob(vec![mask]),
        Value::Integer(number) => {
            let mut bytes = number.to_be_bytes();
            bytes[at.index(bytes.len())] ^= mask;
            Value::Integer(i64::from_be_bytes(bytes))
        }
        Value::Text(text) => Value::Blob(flip(text.clone().into_bytes())),
        Value::Blob(bytes) => Value::Blob(flip(bytes.clone())),
        Value::Real(_) => unreachable!("no column holds one"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_of_any_byte_of_any_column_is_found_out(
        sequence in 1..=ENTRIES,
        column in 0..COLUMNS.len(),
        at: prop::sample::Index,
        mask in 1..=u8::MAX,
    ) {
        thread_local! { static TAMPERED: OnceLock<Tampered> = const { OnceLock::new() }; }
        TAMPERED.with(|tampered| {
            let tampered = tampered.get_or_init(Tampered::new);
            let column = COLUMNS[column];
            let select = format!("SELECT rowid, {column}, typeof({column}) = 'text' FROM audit_entries WHERE sequence = ?1");
            let (rowid, value, is_text): (i64, Value, bool) = tampered.file
                .query_row(&select, [sequence], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .unwrap();
            let value_of = |value| if is_text { format!("CAST({value} AS TEXT)") } else { value };

            let update = format!("UPDATE audit_entries SET {column} = {} WHERE rowid = ?2", value_of("?1".to_owned()));
            let after = changed(&value, at, mask);
            if tampered.file.execute(&update, params![after, rowid]).is_err() {
                // The table itself refuses a sequence that is taken or not positive.
                assert_eq!(column, "sequence");
                return;
            }
            let found = tampered.is_found_out();
            let rowid = match (column, &after) { ("sequence", Value::Integer(moved)) => *moved, _ => rowid };
            tampered.file.execute(&update, params![value, rowid]).unwrap();

            assert!(found, "{column} of entry {sequence}");
            assert!(!tampered.is_found_out(), "{column} was not put back");
        });
    }
}

#[test]
fn whole_entries_that_were_removed_moved_or_forged_are_found_out() {
    let tampered = Tampered::new();

    for statement in [
        "DELETE FROM audit_entries WHERE sequence = 1",
        "DELETE FROM audit_entries WHERE sequence = 3",
        "UPDATE audit_entries SET account = NULL WHERE sequence = 1",
        "UPDATE audit_entries SET source = NULL WHERE sequence = 3",
        "UPDATE audit_entries SET action = outcome, outcome = action WHERE sequence = 2",
        "UPDATE audit_entries SET sequence = 100 WHERE sequence = 3;
         UPDATE audit_entries SET sequence = 3 WHERE sequence = 4;
         UPDATE audit_entries SET sequence = 4 WHERE sequence = 100",
        "INSERT INTO audit_entries SELECT 7, at, action, outcome, account, session, subject, source, hash
         FROM audit_entries WHERE sequence = 6",
    ] {
        assert!(tampered.finds(statement), "{statement}");
    }
}
