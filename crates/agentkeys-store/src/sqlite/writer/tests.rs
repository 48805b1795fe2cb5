use std::{
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Waker},
};

use agentkeys_types::Timestamp;
use tempfile::TempDir;
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::{Action, AuditStore, DeploymentStore, Outcome, Recorded, SqliteStore, verify_chain};

fn open() -> (Arc<SqliteStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("broker.db")).unwrap();
    (Arc::new(store), folder)
}

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

async fn subjects(store: &SqliteStore) -> Vec<String> {
    let entries = store.entries_after(0, u32::MAX).await.unwrap();
    verify_chain([0; 32], &entries).unwrap();
    entries.into_iter().map(|entry| entry.subject).collect()
}

fn append(store: &Arc<SqliteStore>, subject: &str) -> JoinHandle<Result<Recorded, StoreError>> {
    let (store, entry) = (store.clone(), entry(subject));
    tokio::spawn(async move { store.append(entry, vec![]).await })
}

/// Keeps the writer busy until it is told to go on, so that what is asked meanwhile becomes one group.
async fn hold(store: &Arc<SqliteStore>) -> mpsc::Sender<()> {
    let (go_on, waits) = mpsc::channel();
    let held = store.clone();
    tokio::spawn(async move {
        held.writer
            .write_unguarded(move |_| {
                waits.recv().unwrap();
                Ok(())
            })
            .await
    });
    // The job has left the queue once it was taken up.
    yield_now().await;
    queued(store, 0).await;
    go_on
}

async fn queued(store: &SqliteStore, count: usize) {
    let jobs = store.writer.jobs.as_ref().unwrap();
    while jobs.max_capacity() - jobs.capacity() != count {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_job_that_fails_takes_back_only_what_it_wrote() {
    let (store, _folder) = open();
    let go_on = hold(&store).await;

    let before = append(&store, "before");
    queued(&store, 1).await;
    let failing = store.clone();
    let failing = tokio::spawn(async move {
        let fail = |transaction: &mut Transaction<'_>| -> Result<Change<()>, StoreError> {
            transaction.record(&entry("taken back"))?;
            Err(failed(WriterEnded))
        };
        failing.writer.write(fail).await
    });
    queued(&store, 2).await;
    let after = append(&store, "after");
    queued(&store, 3).await;
    go_on.send(()).unwrap();

    assert_eq!(before.await.unwrap().unwrap(), Recorded::Recorded);
    failing.await.unwrap().unwrap_err();
    assert_eq!(after.await.unwrap().unwrap(), Recorded::Recorded);
    assert_eq!(subjects(&store).await, ["before", "after"]);
}

#[tokio::test]
async fn when_a_commit_fails_nobody_of_the_group_is_told_otherwise() {
    let (store, _folder) = open();
    let tables = "CREATE TABLE parents (id INTEGER PRIMARY KEY);
        CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)";
    store.writer.write_unguarded(|transaction| Ok(transaction.connection.execute_batch(tables)?)).await.unwrap();
    let go_on = hold(&store).await;

    let first = append(&store, "lost");
    queued(&store, 1).await;
    let orphan = store.clone();
    let orphan = tokio::spawn(async move {
        let insert = "INSERT INTO children VALUES (1)";
        orphan.writer.write_unguarded(move |transaction| Ok(transaction.connection.execute_batch(insert)?)).await
    });
    queued(&store, 2).await;
    go_on.send(()).unwrap();

    first.await.unwrap().unwrap_err();
    orphan.await.unwrap().unwrap_err();
    assert!(subjects(&store).await.is_empty());
    append(&store, "recovered").await.unwrap().unwrap();
    assert_eq!(subjects(&store).await, ["recovered"]);
}

#[tokio::test]
async fn a_full_disk_is_an_error_that_changes_nothing_until_there_is_space_again() {
    let (store, _folder) = open();
    let most_pages = async |pragma: &'static str| {
        let set = move |transaction: &mut Transaction<'_>| {
            Ok(transaction.connection.query_row(pragma, [], |row| row.get::<_, i64>(0))?)
        };
        store.writer.write_unguarded(set).await.unwrap()
    };
    append(&store, "before").await.unwrap().unwrap();
    most_pages("PRAGMA max_page_count = 1").await;

    let large = "x".repeat(10_000);
    let all: Vec<_> = (0..64).map(|_| append(&store, &large)).collect();
    for one in all {
        one.await.unwrap().unwrap_err();
    }
    assert_eq!(subjects(&store).await, ["before"]);

    most_pages("PRAGMA max_page_count = 1000000").await;
    append(&store, "after").await.unwrap().unwrap();
    store.check_writable().await.unwrap();
    assert_eq!(subjects(&store).await, ["before", "after"]);
}

#[tokio::test]
async fn dropping_the_store_finishes_what_was_asked() {
    let (store, folder) = open();
    {
        let mut asked = pin!(store.append(entry("asked"), vec![]));
        assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    drop(store);

    let store = SqliteStore::open(&folder.path().join("broker.db")).unwrap();
    assert_eq!(subjects(&store).await, ["asked"]);
}
