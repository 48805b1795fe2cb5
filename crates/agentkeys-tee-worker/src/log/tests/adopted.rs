//! A log that another machine has written.

use agentkeys_types::SystemClock;

use super::*;

fn adopt(bench: &Bench, seed: &[u8; 32]) -> Result<TransparencyLog, LogError> {
    let counter: Arc<dyn Counter> = Arc::<FakeCounter>::clone(&bench.counter);
    TransparencyLog::adopt(&bench.folder(), ORIGIN, seed, counter, Arc::new(SystemClock))
}

/// A log with a device, on the disk of a machine whose counter is far behind the one that wrote it.
async fn brought() -> (Bench, Checkpoint) {
    let written = Bench::with(3).await;
    let log = written.open().unwrap();
    log.append(device(1)).await.unwrap();
    let last = Checkpoint::open(&log.checkpoint(), log.verifier_key()).unwrap();
    drop(log);
    let brought = Bench { counter: FakeCounter::at(4), ..written.copy() };
    (brought, last)
}

#[tokio::test]
async fn it_goes_on_with_its_devices_and_the_counter_of_this_machine() {
    let (bench, last) = brought().await;
    assert!(matches!(bench.open(), Err(LogError::CutOff { counter: 4, .. })));

    let log = adopt(&bench, &SEED).unwrap();

    assert_eq!(bench.counter.value(), 5);
    let adopted = Checkpoint::open(&log.checkpoint(), log.verifier_key()).unwrap();
    let consistent = tiles_of(&log, tiles_for_consistency(last.size, adopted.size));
    adopted.verify_consistent(&last, &consistent).unwrap();
    assert_eq!((adopted.size, adopted.counter()), (last.size + 1, Some(5)));
    assert_eq!(log.device_changes().len(), 1);
    drop(log);
    assert!(
        matches!(LogEntry::read(bench.leaves().last().unwrap()), Some(LogEntry::Counter(entry)) if entry.counter == 5)
    );
    assert_eq!(bench.open().unwrap().device_changes().len(), 1);
}

#[tokio::test]
async fn it_is_adopted_again_where_a_crash_came_before_the_counter_went_up() {
    let (bench, _) = brought().await;
    bench.counter.is_broken.store(true, Ordering::SeqCst);
    assert!(matches!(adopt(&bench, &SEED), Err(LogError::Counter(_))));
    bench.counter.is_broken.store(false, Ordering::SeqCst);
    drop(adopt(&bench, &SEED).unwrap());
    let behind = Bench { counter: FakeCounter::at(4), ..bench.copy() };

    drop(adopt(&behind, &SEED).unwrap());

    drop(behind.open().unwrap());
}

#[tokio::test]
async fn it_goes_on_where_the_platform_has_no_counter() {
    let (bench, last) = brought().await;
    let adopt =
        || TransparencyLog::adopt(&bench.folder(), ORIGIN, &SEED, Arc::new(NoCounter), Arc::new(SystemClock)).unwrap();

    adopt().append(device(2)).await.unwrap();

    let log = adopt();
    let adopted = Checkpoint::open(&log.checkpoint(), log.verifier_key()).unwrap();
    assert_eq!((adopted.size, adopted.counter(), log.device_changes().len()), (last.size + 1, None, 2));
}

#[tokio::test]
async fn one_of_another_identity_is_not_adopted() {
    let (bench, _) = brought().await;

    let refused = adopt(&bench, &[8; 32]).unwrap_err();

    assert!(matches!(refused, LogError::Audit(AuditError::Broken { .. })), "{refused}");
    assert_eq!(bench.counter.value(), 4);
}

#[tokio::test]
async fn one_that_is_not_there_or_was_altered_is_not_adopted() {
    let (bench, _) = brought().await;
    let entries = bench.files().into_keys().find(|path| path.components().any(|part| part.as_os_str() == "entries"));
    let entries = entries.unwrap();
    let mut bytes = fs::read(&entries).unwrap();
    bytes[10] ^= 1;
    fs::write(&entries, bytes).unwrap();
    assert!(matches!(adopt(&bench, &SEED), Err(LogError::Audit(AuditError::Broken { .. }))));

    fs::remove_file(bench.folder().join("checkpoint")).unwrap();

    assert!(matches!(adopt(&bench, &SEED), Err(LogError::Audit(AuditError::Missing))));
}
