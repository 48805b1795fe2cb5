mod adopted;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use agentkeys_api::{LogEntry, SigningOutcome};
use agentkeys_signer::Event;
use agentkeys_tlog::{Checkpoint, Tiles, tiles_for_consistency, tiles_for_inclusion};
use agentkeys_types::{EvmAddress, KeyThumbprint, SessionId};
use tempfile::TempDir;

use super::{disk::faulty::Faults, group::Done, *};

const ORIGIN: &str = "worker.example/log";
const SEED: [u8; 32] = [7; 32];

/// A counter of which the test decides whether it works.
#[derive(Debug, Default)]
struct FakeCounter {
    value: AtomicU64,
    is_broken: AtomicBool,
}

impl FakeCounter {
    fn at(value: u64) -> Arc<Self> {
        Arc::new(Self { value: value.into(), is_broken: false.into() })
    }

    fn value(&self) -> u64 {
        self.value.load(Ordering::SeqCst)
    }
}

impl Counter for FakeCounter {
    fn read(&self) -> Result<Option<u64>, CounterError> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(CounterError("no answer".to_owned()));
        }
        Ok(Some(self.value()))
    }

    fn bump(&self) -> Result<Option<u64>, CounterError> {
        self.read()?;
        Ok(Some(self.value.fetch_add(1, Ordering::SeqCst) + 1))
    }
}

/// A platform without a counter.
#[derive(Debug)]
struct NoCounter;

impl Counter for NoCounter {
    fn read(&self) -> Result<Option<u64>, CounterError> {
        Ok(None)
    }

    fn bump(&self) -> Result<Option<u64>, CounterError> {
        Ok(None)
    }
}

/// A clock that goes on by so many seconds whenever it is looked at, and otherwise when it is moved.
#[derive(Debug)]
struct TestClock {
    now: AtomicI64,
    pace: i64,
}

impl TestClock {
    fn still() -> Arc<Self> {
        Arc::new(Self { now: 1_800_000_000.into(), pace: 0 })
    }

    fn advance(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.now.fetch_add(self.pace, Ordering::SeqCst))
    }
}

/// A clock by which the counter never has to rest.
fn hurried() -> Arc<dyn Clock> {
    Arc::new(TestClock { now: 1_800_000_000.into(), pace: 2 })
}

struct Bench {
    root: TempDir,
    counter: Arc<FakeCounter>,
}

impl Bench {
    /// A log that was begun and closed.
    fn new() -> Self {
        let bench = Self { root: tempfile::tempdir().unwrap(), counter: FakeCounter::at(1000) };
        drop(bench.create().unwrap());
        bench
    }

    /// A log with that many signings.
    async fn with(signings: u8) -> Self {
        let bench = Self::new();
        let log = bench.open().unwrap();
        append_all(&log, 0..signings).await;
        drop(log);
        bench
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("log")
    }

    fn create(&self) -> Result<TransparencyLog, LogError> {
        let counter: Arc<dyn Counter> = Arc::<FakeCounter>::clone(&self.counter);
        TransparencyLog::create(&self.folder(), ORIGIN, &SEED, counter, hurried())
    }

    fn open(&self) -> Result<TransparencyLog, LogError> {
        let counter: Arc<dyn Counter> = Arc::<FakeCounter>::clone(&self.counter);
        TransparencyLog::open(&self.folder(), ORIGIN, &SEED, counter, hurried())
    }

    fn open_at(&self, clock: &Arc<TestClock>) -> TransparencyLog {
        let counter: Arc<dyn Counter> = Arc::<FakeCounter>::clone(&self.counter);
        TransparencyLog::open(&self.folder(), ORIGIN, &SEED, counter, Arc::<TestClock>::clone(clock)).unwrap()
    }

    fn open_on(&self, faults: &Faults) -> Result<TransparencyLog, LogError> {
        let counter: Arc<dyn Counter> = Arc::<FakeCounter>::clone(&self.counter);
        let (disk, key) = (faults.open(&self.folder()), SignerKey::from_seed(ORIGIN, &SEED).unwrap());
        TransparencyLog::go_on(disk, &self.folder(), key, counter, hurried())
    }

    /// The same log on another disk, with a counter that stands where this one does.
    fn copy(&self) -> Self {
        let copy = Self { root: tempfile::tempdir().unwrap(), counter: FakeCounter::at(self.counter.value()) };
        copy_folder(&self.folder(), &copy.folder());
        copy
    }

    /// Every leaf, after a check of everything.
    fn leaves(&self) -> Vec<Vec<u8>> {
        let mut leaves = Vec::new();
        let key = SignerKey::from_seed(ORIGIN, &SEED).unwrap();
        audit(&self.folder(), Some(key.verifier()), &mut |index, leaf| {
            assert_eq!(LogEntry::read(leaf).unwrap().seq(), index);
            leaves.push(leaf.to_vec());
            Ok(())
        })
        .unwrap();
        leaves
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut files, mut folders) = (BTreeMap::new(), vec![self.folder()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        files
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            fs::copy(path, copy).unwrap();
        }
    }
}

fn signing(number: u8) -> Entry {
    Entry {
        time: Timestamp::from_unix(1_800_000_000),
        account: OmniAccount::from_bytes([number; 32]),
        session: SessionId::from_bytes([number; 16]),
        event: Event::Signing {
            address: EvmAddress::from_bytes([number; 20]),
            message: [number; 32],
            outcome: SigningOutcome::Allowed,
        },
    }
}

fn device(number: u8) -> Entry {
    let change = DeviceChange::FirstUse { key: KeyThumbprint::from_bytes([number; 32]) };
    Entry { event: Event::Device(change), ..signing(number) }
}

async fn append_all(log: &TransparencyLog, numbers: impl IntoIterator<Item = u8>) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for number in numbers {
        receipts.extend(log.append(signing(number)).await);
    }
    receipts
}

fn tiles_of(log: &TransparencyLog, ids: impl IntoIterator<Item = TileId>) -> Tiles {
    let mut tiles = Tiles::default();
    for id in ids {
        assert!(tiles.insert(id, &log.tile(id).unwrap().unwrap()));
    }
    tiles
}

#[tokio::test]
async fn every_receipt_shows_its_entry_in_a_log_that_only_grows() {
    let bench = Bench::new();
    let log = bench.open().unwrap();
    let mut before: Option<Checkpoint> = None;

    for number in 0..=255 {
        for _ in 0..2 {
            let receipt = log.append(signing(number)).await.unwrap();

            let checkpoint = Checkpoint::open(&receipt.checkpoint.unwrap(), log.verifier_key()).unwrap();
            let (index, leaf) = receipt.leaf.unwrap();
            let included = tiles_of(&log, tiles_for_inclusion(index, checkpoint.size));
            checkpoint.verify_included(index, &leaf, &included).unwrap();
            if let Some(before) = before {
                let consistent = tiles_of(&log, tiles_for_consistency(before.size, checkpoint.size));
                checkpoint.verify_consistent(&before, &consistent).unwrap();
            }
            assert!(matches!(LogEntry::read(&leaf), Some(LogEntry::Signing(entry)) if entry.message == [number; 32]));
            before = Some(checkpoint);
        }
    }
}

#[tokio::test]
async fn a_log_goes_on_after_a_restart_with_its_devices() {
    let bench = Bench::with(200).await;
    let log = bench.open().unwrap();
    log.append(device(1)).await.unwrap();
    append_all(&log, 0..100).await;
    log.append(device(2)).await.unwrap();
    let checkpoint = log.checkpoint();
    drop(log);

    let written = fs::read_to_string(bench.folder().join("checkpoint")).unwrap();
    let journal = fs::metadata(bench.folder().join("journal")).unwrap().len();
    let log = bench.open().unwrap();

    assert_eq!((written.as_str(), journal), (&*checkpoint, 0));
    let devices: Vec<DeviceChange> = log.device_changes().into_iter().map(|(_, _, change)| change).collect();
    let pinned = |number| DeviceChange::FirstUse { key: KeyThumbprint::from_bytes([number; 32]) };
    assert_eq!(devices, [pinned(1), pinned(2)]);
    // Signings, devices, and a counter: at each of four starts, behind each device, and behind 256 entries.
    assert!(bench.leaves().len() >= 300 + 2 + 4 + 2);
}

#[tokio::test]
async fn the_counter_goes_up_at_a_start_behind_a_device_behind_many_entries_and_at_rest() {
    let bench = Bench::new();
    let at_first = bench.counter.value();

    let log = bench.open().unwrap();
    let at_start = bench.counter.value();
    append_all(&log, 0..=254).await;
    let before = bench.counter.value();
    let receipt = log.append(signing(255)).await.unwrap();
    log.append(device(1)).await.unwrap();
    let behind = bench.counter.value();
    log.append(signing(1)).await.unwrap();
    log.queue.as_ref().unwrap().send(Job::Rest).await.unwrap();
    log.queue.as_ref().unwrap().send(Job::Rest).await.unwrap();
    drop(log);

    assert_eq!((at_first, at_start, before, behind, bench.counter.value()), (1001, 1002, 1002, 1004, 1005));
    let checkpoint = Checkpoint::open_unverified(&receipt.checkpoint.unwrap()).unwrap();
    assert_eq!(checkpoint.counter(), Some(1003));
    assert!(bench.leaves().last().unwrap().ends_with(b"\"counter\":1005}"));
}

#[tokio::test]
async fn a_log_that_was_cut_off_is_refused() {
    let bench = Bench::with(10).await;
    let older = bench.copy();
    let log = bench.open().unwrap();
    append_all(&log, 0..3).await;
    drop(log);

    fs::remove_dir_all(bench.folder()).unwrap();
    copy_folder(&older.folder(), &bench.folder());
    let cut = bench.open().unwrap_err();
    fs::remove_dir_all(bench.folder()).unwrap();
    let gone = bench.open().unwrap_err();

    assert!(matches!(cut, LogError::CutOff { counter: 1003, logged: 1002 }), "{cut}");
    assert!(matches!(gone, LogError::Audit(AuditError::Missing)), "{gone}");
}

#[tokio::test]
async fn a_log_that_forgets_a_device_is_refused_as_soon_as_the_device_was_told() {
    let bench = Bench::new();
    let log = bench.open().unwrap();
    append_all(&log, 0..3).await;
    let before = bench.copy();
    log.append(device(1)).await.unwrap();
    before.counter.value.store(bench.counter.value(), Ordering::SeqCst);

    let refused = before.open().unwrap_err();

    assert!(matches!(refused, LogError::CutOff { .. }), "{refused}");
}

#[tokio::test]
async fn a_crash_between_the_log_and_the_counter_is_mended_and_another_counter_is_not() {
    let bench = Bench::with(3).await;

    let behind = bench.copy();
    behind.counter.value.fetch_sub(1, Ordering::SeqCst);
    drop(behind.open().unwrap());
    let replaced = bench.copy();
    replaced.counter.value.fetch_sub(2, Ordering::SeqCst);
    let refused = replaced.open().unwrap_err();
    let without = TransparencyLog::open(&bench.folder(), ORIGIN, &SEED, Arc::new(NoCounter), hurried());

    assert_eq!(behind.counter.value(), bench.counter.value() + 1);
    assert!(matches!(refused, LogError::CutOff { .. }), "{refused}");
    assert!(matches!(without.unwrap_err(), LogError::CutOff { counter: 0, .. }));
}

#[tokio::test]
async fn a_platform_without_a_counter_has_a_log_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let none: Arc<dyn Counter> = Arc::new(NoCounter);

    let log = TransparencyLog::create(&path, ORIGIN, &SEED, Arc::clone(&none), hurried()).unwrap();
    let empty = log.checkpoint();
    log.append(device(1)).await.unwrap();
    drop(log);
    let log = TransparencyLog::open(&path, ORIGIN, &SEED, none, hurried()).unwrap();

    let checkpoint = Checkpoint::open(&log.checkpoint(), log.verifier_key()).unwrap();
    assert_eq!((checkpoint.size, checkpoint.counter(), log.device_changes().len()), (1, None, 1));
    assert_eq!(Checkpoint::open(&empty, log.verifier_key()).unwrap().size, 0);
}

#[tokio::test]
async fn one_worker_at_a_time_has_the_log_and_none_begins_where_there_is_one() {
    let bench = Bench::new();
    let exists = bench.create().unwrap_err();
    let log = bench.open().unwrap();

    let second = bench.open().unwrap_err();
    drop(log);

    assert!(matches!(exists, LogError::Exists), "{exists}");
    assert!(matches!(second, LogError::InUse), "{second}");
    bench.open().unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_without_a_restart() {
    // The 256th entry comes while it is full: with it, files become whole.
    let bench = Bench::with(250).await;
    let faults = Faults::default();
    let log = bench.open_on(&faults).unwrap();
    append_all(&log, 0..3).await;

    faults.set_full(true);
    let refused = log.append(signing(3)).await;
    log.queue.as_ref().unwrap().send(Job::Rest).await.unwrap();
    let still = log.append(signing(4)).await;
    faults.set_full(false);
    let receipts = append_all(&log, 5..15).await;
    drop(log);

    assert_eq!((refused, still), (Err(LogUnavailable), Err(LogUnavailable)));
    assert_eq!(receipts.len(), 10);
    let leaves = bench.leaves();
    for receipt in receipts {
        let (index, leaf) = receipt.leaf.unwrap();
        assert_eq!(leaves[usize::try_from(index).unwrap()], *leaf);
    }
    bench.open().unwrap();
}

#[tokio::test]
async fn a_counter_that_does_not_answer_refuses_and_recovers_without_a_restart() {
    let bench = Bench::new();
    let log = bench.open().unwrap();

    bench.counter.is_broken.store(true, Ordering::SeqCst);
    let refused = log.append(device(1)).await;
    let after = log.append(signing(1)).await;
    bench.counter.is_broken.store(false, Ordering::SeqCst);
    log.append(device(1)).await.unwrap();
    drop(log);

    assert_eq!((refused, after), (Err(LogUnavailable), Err(LogUnavailable)));
    bench.open().unwrap();
}

type Answer = oneshot::Receiver<Result<Receipt, LogUnavailable>>;

async fn send(log: &TransparencyLog, job: Job) {
    log.queue.as_ref().unwrap().send(job).await.unwrap();
}

/// Has a device recorded, and does not wait for it.
async fn send_device(log: &TransparencyLog, number: u8) -> Answer {
    let (done, answer): (Done, Answer) = oneshot::channel();
    send(log, Job::Append { entry: device(number), done }).await;
    answer
}

#[tokio::test]
async fn changes_of_devices_wait_for_a_step_of_the_counter_every_two_seconds_and_signings_never() {
    let (bench, clock) = (Bench::new(), TestClock::still());
    let log = bench.open_at(&clock);
    log.append(device(1)).await.unwrap();
    let before = bench.counter.value();

    let (mut second, mut third) = (send_device(&log, 2).await, send_device(&log, 3).await);
    log.append(signing(1)).await.unwrap();
    let after_signing = (second.try_recv().is_err(), third.try_recv().is_err(), bench.counter.value());
    clock.advance(1);
    send(&log, Job::Step).await;
    log.append(signing(2)).await.unwrap();
    let too_soon = (second.try_recv().is_err(), bench.counter.value());
    clock.advance(1);
    send(&log, Job::Step).await;
    let (second, third) = (second.await.unwrap().unwrap(), third.await.unwrap().unwrap());

    assert_eq!((after_signing, too_soon), ((true, true, before), (true, before)));
    assert_eq!(bench.counter.value(), before + 1);
    drop(log);
    let leaves = bench.leaves();
    for receipt in [second, third] {
        let (index, leaf) = receipt.leaf.unwrap();
        assert_eq!(leaves[usize::try_from(index).unwrap()], *leaf);
        let checkpoint = Checkpoint::open_unverified(&receipt.checkpoint.unwrap()).unwrap();
        assert_eq!((checkpoint.counter(), checkpoint.size > index), (Some(before + 1), true));
    }
}

#[tokio::test]
async fn nothing_that_anybody_does_has_the_counter_go_up_more_than_once_in_two_seconds() {
    let (bench, clock) = (Bench::new(), TestClock::still());
    let log = bench.open_at(&clock);
    let at_start = bench.counter.value();

    let mut answers = Vec::new();
    for number in 0..=255 {
        answers.push(send_device(&log, number).await);
        append_all(&log, [number; 4]).await;
        send(&log, Job::Rest).await;
    }
    append_all(&log, 0..1).await;
    let behind = bench.counter.value();
    clock.advance(2);
    append_all(&log, 0..1).await;

    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!((at_start + 1, at_start + 2), (behind, bench.counter.value()));
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_keep_devices_waiting() {
    let (bench, clock) = (Bench::new(), TestClock::still());
    let log = bench.open_at(&clock);
    log.append(device(1)).await.unwrap();

    clock.advance(-3600);

    log.append(device(2)).await.unwrap();
}

#[tokio::test]
async fn a_crash_before_the_step_leaves_a_change_that_is_recorded_and_was_not_answered() {
    let (bench, clock) = (Bench::new(), TestClock::still());
    let log = bench.open_at(&clock);
    log.append(device(1)).await.unwrap();
    let mut second = send_device(&log, 2).await;
    log.append(signing(1)).await.unwrap();
    let crashed = bench.copy();

    let recovered = crashed.open().unwrap();

    assert!(second.try_recv().is_err());
    assert_eq!(recovered.device_changes().len(), 2);
}

#[tokio::test]
async fn who_waits_for_a_counter_that_does_not_answer_is_refused() {
    let (bench, clock) = (Bench::new(), TestClock::still());
    let log = bench.open_at(&clock);
    log.append(device(1)).await.unwrap();
    let second = send_device(&log, 2).await;
    log.append(signing(1)).await.unwrap();

    bench.counter.is_broken.store(true, Ordering::SeqCst);
    clock.advance(2);
    send(&log, Job::Step).await;
    let refused = second.await.unwrap();
    bench.counter.is_broken.store(false, Ordering::SeqCst);
    clock.advance(2);

    assert_eq!(refused, Err(LogUnavailable));
    log.append(device(2)).await.unwrap();
}

#[tokio::test]
async fn a_log_that_is_closed_answers_who_still_waits_for_the_counter() {
    let (bench, clock) = (Bench::new(), TestClock::still());
    let log = bench.open_at(&clock);
    log.append(device(1)).await.unwrap();
    let before = bench.counter.value();
    let second = send_device(&log, 2).await;

    drop(log);

    second.await.unwrap().unwrap();
    assert_eq!(bench.counter.value(), before + 1);
}

#[test]
fn the_writer_has_itself_woken_once_for_a_step_that_it_owes() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.folder()).unwrap();
    let (disk, key) = (LogFolder::create(&bench.folder()).unwrap(), SignerKey::from_seed(ORIGIN, &SEED).unwrap());
    let counter: Arc<dyn Counter> = Arc::<FakeCounter>::clone(&bench.counter);
    let mut writer = Writer::begin(disk, &bench.folder(), key, counter, TestClock::still()).unwrap();
    let ((queue, jobs), (ticker, ticks)) = (mpsc::channel(16), std_mpsc::channel());
    let writing = thread::spawn(move || writer.run(jobs, &ticker));
    let record = |entry: Entry| {
        let (done, answer): (Done, Answer) = oneshot::channel();
        queue.blocking_send(Job::Append { entry, done }).unwrap();
        answer
    };

    record(device(1)).blocking_recv().unwrap().unwrap();
    let waits = record(device(2));
    for number in 0..3 {
        record(signing(number)).blocking_recv().unwrap().unwrap();
    }
    drop(queue);
    writing.join().unwrap();

    waits.blocking_recv().unwrap().unwrap();
    let asked: Vec<Tick> = ticks.try_iter().collect();
    assert!(matches!(asked[..], [Tick::After(wait)] if wait == Duration::from_secs(2)));
}

#[test]
fn the_ticker_wakes_the_writer_when_the_time_is_over_and_ends_when_told() {
    let ((queue, mut jobs), (ticker, ticks)) = (mpsc::channel(16), std_mpsc::channel());
    let ticking = thread::spawn(move || ticker::run(&ticks, &queue));

    ticker.send(Tick::After(Duration::ZERO)).unwrap();
    let job = jobs.blocking_recv();
    ticker.send(Tick::End).unwrap();
    ticking.join().unwrap();

    assert!(matches!(job, Some(Job::Step)));
}

/// Entries over the border of a tile, a device, and a clean end, as far as the disk lets it come.
async fn walk(bench: &Bench, faults: &Faults) -> Vec<Receipt> {
    let Ok(log) = bench.open_on(faults) else { return Vec::new() };
    let mut receipts = append_all(&log, 0..3).await;
    let _ = log.queue.as_ref().unwrap().send(Job::Rest).await;
    receipts.extend(append_all(&log, 3..6).await);
    receipts.extend(log.append(device(1)).await);
    receipts.extend(append_all(&log, 6..9).await);
    receipts
}

#[tokio::test]
async fn whenever_the_power_goes_the_log_opens_and_has_all_that_was_answered_for() {
    let start = Bench::with(247).await;
    let (whole, faults) = (start.copy(), Faults::default());
    assert_eq!(walk(&whole, &faults).await.len(), 10);
    let operations = faults.operations();
    assert!(operations > 25, "{operations}");

    for after in 1..=operations {
        for loses_unsynced in [false, true] {
            let (bench, faults) = (start.copy(), Faults::default());
            faults.die_after(after);
            let receipts = walk(&bench, &faults).await;
            if loses_unsynced {
                faults.lose_unsynced();
            }

            let before = bench.leaves();
            let log = bench.open().unwrap_or_else(|error| panic!("after {after}: {error}"));
            let note = log.checkpoint();
            drop(log);

            let leaves = bench.leaves();
            assert!(leaves.starts_with(&before));
            for receipt in &receipts {
                let (index, leaf) = receipt.leaf.as_ref().unwrap();
                assert_eq!(leaves[usize::try_from(*index).unwrap()], **leaf, "after {after}");
                let older = Checkpoint::open_unverified(receipt.checkpoint.as_ref().unwrap()).unwrap();
                assert!(older.size <= Checkpoint::open_unverified(&note).unwrap().size);
            }
            // And once more, with nothing left of the crash.
            bench.open().unwrap();
        }
    }
}

/// A log that ends in the journal, as after a crash, and how long the journal was before its last group.
async fn crashed() -> (Bench, u64) {
    let bench = Bench::with(20).await;
    let log = bench.open().unwrap();
    append_all(&log, 0..3).await;
    let journal = bench.folder().join("journal");
    let length = fs::metadata(&journal).unwrap().len();
    append_all(&log, 3..4).await;
    (bench.copy(), length)
}

#[tokio::test]
async fn a_journal_that_ends_anywhere_in_its_last_group_is_mended() {
    let (bench, before) = crashed().await;
    let journal = bench.folder().join("journal");
    let whole = fs::read(&journal).unwrap();
    let entries = bench.leaves().len();

    for length in usize::try_from(before).unwrap()..whole.len() {
        fs::write(&journal, &whole[..length]).unwrap();
        assert_eq!(bench.leaves().len(), entries - 1, "{length}");
    }
    drop(bench.open().unwrap());

    // The torn one is gone, and a counter has come.
    assert_eq!(bench.leaves().len(), entries);
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_the_folder_is_found() {
    let stopped = Bench::with(255).await;
    let crashed = crashed().await.0;
    let mut checked = 0_u32;

    for bench in [stopped, crashed] {
        for (path, bytes) in bench.files() {
            // Each byte of the small files, and a part of those of the large ones, at their borders too.
            let step = (bytes.len() / 200).max(1);
            for at in (0..bytes.len()).filter(|at| at % step == 0 || *at + 4 >= bytes.len()) {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                fs::write(&path, changed).unwrap();

                let found = bench.open();

                assert!(matches!(found, Err(LogError::Audit(AuditError::Broken { .. }))), "{} {at}", path.display());
                checked += 1;
            }
            fs::write(&path, &bytes).unwrap();
        }
        bench.open().unwrap();
    }
    assert!(checked > 1000, "{checked}");
}

#[tokio::test]
async fn a_log_of_another_key_or_name_is_refused() {
    let bench = Bench::with(3).await;
    let open = |origin, seed: [u8; 32]| {
        let counter: Arc<dyn Counter> = Arc::<FakeCounter>::clone(&bench.counter);
        TransparencyLog::open(&bench.folder(), origin, &seed, counter, hurried())
    };

    for (origin, seed) in [(ORIGIN, [8; 32]), ("other.example/log", SEED)] {
        let refused = open(origin, seed).unwrap_err();

        assert!(matches!(refused, LogError::Audit(AuditError::Broken { .. })), "{refused}");
    }
    assert!(matches!(open("two words", SEED), Err(LogError::Origin(_))));
}

#[tokio::test]
async fn the_reference_describes_the_routes_of_the_log() {
    let bench = Bench::with(1).await;

    crate::reference::tests::assert_described("/log", log_routes(Arc::new(bench.open().unwrap()))).await;
}

#[tokio::test]
async fn everybody_sees_the_checkpoint_and_the_hashes_and_nobody_the_entries() {
    let bench = Bench::with(255).await;
    let log = Arc::new(bench.open().unwrap());
    let server = agentkeys_http::Server::bind("worker", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let running = server.serve(log_routes(Arc::clone(&log)));
    let ask = async |path: &str| {
        let answer = reqwest::get(format!("http://{}{path}", running.address())).await.unwrap();
        let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
        (answer.status().as_u16(), header("content-type"), header("cache-control"), answer.bytes().await.unwrap())
    };

    let (status, kind, caching, note) = ask("/log/checkpoint").await;
    let whole = ask("/log/tile/0/000").await;
    let part = ask("/log/tile/0/000.p/3").await;
    let edge = ask("/log/tile/0/001.p/1").await;

    assert_eq!((status, kind.as_str(), caching.as_str()), (200, "text/plain; charset=utf-8", "no-store"));
    assert_eq!(&*note, log.checkpoint().as_bytes());
    assert_eq!((whole.1.as_str(), whole.2.contains("immutable")), ("application/octet-stream", true));
    assert_eq!((whole.3.len(), &whole.3[..96], edge.3.len()), (256 * 32, &*part.3, 32));
    for path in
        ["0/001.p/200", "0/002", "1/000", "7/000", "entries/000", "0/0", "0/..%2f..%2fcheckpoint", "0/000/../001"]
    {
        let (status, kind, ..) = ask(&format!("/log/tile/{path}")).await;

        assert_eq!((status, kind.as_str()), (404, "application/problem+json"), "{path}");
    }
}
