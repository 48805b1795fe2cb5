//! What [`SqliteStore::open`] makes, keeps and refuses.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use agentkeys_store::{Action, AuditStore, DeploymentStore, Entry, Outcome, SqliteStore, verify_chain};
use agentkeys_types::Timestamp;
use rusqlite::Connection;

fn entry(subject: &str) -> Entry {
    Entry {
        at: Timestamp::from_unix(1_800_000_000),
        action: Action::MintOidcJwt,
        outcome: Outcome::Done,
        account: None,
        session: None,
        subject: subject.to_owned(),
        source: None,
    }
}

fn refusal(path: &Path) -> String {
    SqliteStore::open(path).unwrap_err().to_string()
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    for subject in ["one", "two", "three"] {
        let store = SqliteStore::open(&path).unwrap();
        store.append(entry(subject), vec![]).await.unwrap();
        store.pin(subject, "kept").await.unwrap();
    }

    let store = SqliteStore::open(&path).unwrap();

    let entries = store.entries_after(0, 10).await.unwrap();
    verify_chain([0; 32], &entries).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!(store.pinned("").await.unwrap().len(), 3);
}

#[tokio::test]
async fn two_stores_on_one_file_write_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    let (one, two) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());

    for _ in 0..20 {
        let (first, second) = tokio::join!(one.append(entry("one"), vec![]), two.append(entry("two"), vec![]));
        first.and(second).unwrap();
    }

    let entries = one.entries_after(0, 100).await.unwrap();
    verify_chain([0; 32], &entries).unwrap();
    assert_eq!(entries.len(), 40);
}

#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inner/broker.db");

    let store = SqliteStore::open(&path).unwrap();
    store.append(entry("one"), vec![]).await.unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let files: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[test]
fn closing_leaves_one_file() {
    let folder = tempfile::tempdir().unwrap();

    drop(SqliteStore::open(&folder.path().join("broker.db")).unwrap());

    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    drop(SqliteStore::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

    assert!(refusal(&path).contains("chmod 600"));
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    drop(SqliteStore::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1_000).unwrap();

    assert!(refusal(&path).contains("use a newer version"));

    let found: i64 =
        Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(found, 1_000);
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    let store = SqliteStore::open(&path).unwrap();
    for _ in 0..100 {
        store.append(entry(&"x".repeat(500)), vec![]).await.unwrap();
    }
    drop(store);
    let sound = fs::read(&path).unwrap();

    let mut overwritten = sound.clone();
    let middle = sound.len() / 4096 / 2 * 4096;
    overwritten[middle..middle + 4096].fill(0xa5);
    let truncated = &sound[..middle];
    for damaged in [&overwritten, truncated, b"not a database, but long enough to be taken for one".as_slice()] {
        fs::write(&path, damaged).unwrap();
        SqliteStore::open(&path).unwrap_err();
    }
    fs::write(&path, &sound).unwrap();
    SqliteStore::open(&path).unwrap();
}
