use std::{
    fs,
    path::{Path, PathBuf},
};

use agentkeys_api::{CounterEntry, LogEntry, SigningEntry, SigningOutcome};
use agentkeys_tlog::{ChainHead, Checkpoint, Edge, LogFile, SignerKey, frame, push_leaf};
use agentkeys_types::{EvmAddress, OmniAccount, SessionId};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tempfile::TempDir;

use super::*;
use crate::output::tests::recorded;

const ORIGIN: &str = "worker.example/log";
/// How many entries come after one of the counter.
const PER_COUNT: u64 = 5;

/// A log as a worker leaves it after a crash: a part in files, the rest in the journal.
struct Bench {
    root: TempDir,
    key: SignerKey,
    /// What the worker last told a client.
    told: String,
}

impl Bench {
    fn new(settled: u64, in_journal: u64) -> Self {
        Self::signed_by(SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap(), settled, in_journal)
    }

    fn signed_by(key: SignerKey, settled: u64, in_journal: u64) -> Self {
        let mut bench = Self { root: tempfile::tempdir().unwrap(), key, told: String::new() };
        let (mut edge, mut whole) = (Edge::default(), Vec::new());
        (0..settled).for_each(|seq| assert!(edge.append(&leaf(seq), &mut whole)));
        whole.extend(edge.files());
        bench.told = bench.checkpoint(&edge);
        whole.push(LogFile { path: "checkpoint".to_owned(), bytes: bench.told.clone().into_bytes() });
        let mut journal = Vec::new();
        for seq in settled..settled + in_journal {
            let mut entries = Vec::new();
            assert!(edge.append(&leaf(seq), &mut Vec::new()) && push_leaf(&mut entries, &leaf(seq)));
            bench.told = bench.checkpoint(&edge);
            journal.extend(frame(&entries, &bench.told).unwrap());
        }
        whole.push(LogFile { path: "journal".to_owned(), bytes: journal });
        for file in whole {
            let path = bench.folder().join(file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file.bytes).unwrap();
        }
        fs::write(bench.kept(), &bench.told).unwrap();
        bench
    }

    fn checkpoint(&self, edge: &Edge) -> String {
        let (size, root) = (edge.tree().size(), edge.tree().root());
        Checkpoint::new(ORIGIN, size, root, Some((size - 1) / PER_COUNT)).sign(&self.key).unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("log")
    }

    fn kept(&self) -> PathBuf {
        self.root.path().join("kept")
    }

    fn verify(&self) -> Result<Verified, CliError> {
        verify(&self.folder(), Some(self.key.verifier()), Some(&self.kept()))
    }

    fn files(&self) -> Vec<PathBuf> {
        let (mut files, mut folders) = (Vec::new(), vec![self.folder()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { &mut folders } else { &mut files }.push(path);
            }
        }
        files.sort();
        files
    }
}

fn verify(path: &Path, vkey: Option<&VerifierKey>, checkpoint: Option<&Path>) -> Result<Verified, CliError> {
    let (output, _, _) = recorded(false);
    let args = VerifyArgs { path: path.to_owned(), vkey: vkey.cloned(), checkpoint: checkpoint.map(Path::to_owned) };
    args.verify(&mut Progress::new(&output, "entries"))
}

fn leaf(seq: u64) -> Vec<u8> {
    let time = Timestamp::from_unix(1_800_000_000 + i64::try_from(seq).unwrap());
    let number = u8::try_from(seq % 251).unwrap();
    if seq.is_multiple_of(PER_COUNT) {
        return LogEntry::Counter(CounterEntry { seq, time, counter: seq / PER_COUNT }).to_leaf();
    }
    LogEntry::Signing(SigningEntry {
        seq,
        time,
        account: OmniAccount::from_bytes([number; 32]),
        address: EvmAddress::from_bytes([number; 20]),
        message: [number; 32],
        session: SessionId::from_bytes([number; 16]),
        outcome: SigningOutcome::Allowed,
    })
    .to_leaf()
}

fn is_broken(found: &Result<Verified, CliError>) -> bool {
    matches!(found, Err(error @ CliError::LogBroken { .. }) if error.exit() == 1)
}

#[test]
fn a_log_in_order_is_told_with_all_that_was_checked() {
    let bench = Bench::new(300, 7);

    let verified = bench.verify().unwrap();
    let unsigned = verify(&bench.folder(), None, None).unwrap();

    assert_eq!((verified.entries, verified.counter, verified.kept), (307, Some(61), Some(307)));
    assert_eq!(verified.from.unwrap().to_string(), "2027-01-15T08:00:00Z");
    assert_eq!(verified.to.unwrap().to_string(), "2027-01-15T08:05:06Z");
    assert!(verified.is_signed && !unsigned.is_signed);
    assert_eq!(Verified { is_signed: true, kept: Some(307), ..unsigned }, verified);
}

/// One way to change a log.
#[derive(Clone, Debug)]
enum Tampering {
    Flip { at: prop::sample::Index, bit: u8 },
    Replace { at: prop::sample::Index, length: usize, byte: u8 },
    Swap { at: prop::sample::Index, with: prop::sample::Index, length: usize },
    Cut { at: prop::sample::Index },
    TakeOut { at: prop::sample::Index, length: usize },
    PutIn { at: prop::sample::Index, bytes: Vec<u8> },
    Remove,
    SwapFiles { with: prop::sample::Index },
}

impl Tampering {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            8 => (at(), 0_u8..8).prop_map(|(at, bit)| Self::Flip { at, bit }),
            2 => (at(), 1_usize..40, any::<u8>()).prop_map(|(at, length, byte)| Self::Replace { at, length, byte }),
            2 => (at(), at(), 1_usize..40).prop_map(|(at, with, length)| Self::Swap { at, with, length }),
            2 => at().prop_map(|at| Self::Cut { at }),
            2 => (at(), 1_usize..400).prop_map(|(at, length)| Self::TakeOut { at, length }),
            2 => (at(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Self::PutIn { at, bytes }),
            1 => Just(Self::Remove),
            1 => at().prop_map(|with| Self::SwapFiles { with }),
        ]
    }

    /// What becomes of a file; `None` when it is gone.
    fn apply(self, bytes: &[u8], others: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut changed = bytes.to_vec();
        let end = |at: usize, length: usize| (at + length).min(bytes.len());
        match self {
            Self::Flip { at, bit } => changed[at.index(bytes.len())] ^= 1 << bit,
            Self::Replace { at, length, byte } => {
                let at = at.index(bytes.len());
                changed[at..end(at, length)].fill(byte);
            }
            Self::Swap { at, with, length } => {
                let (at, with) = (at.index(bytes.len()), with.index(bytes.len()));
                let length = length.min(at.abs_diff(with)).min(bytes.len() - at.max(with));
                (0..length).for_each(|step| changed.swap(at + step, with + step));
            }
            Self::Cut { at } => changed.truncate(at.index(bytes.len())),
            Self::TakeOut { at, length } => {
                let at = at.index(bytes.len());
                changed.drain(at..end(at, length));
            }
            Self::PutIn { at, bytes: more } => {
                let at = at.index(bytes.len());
                changed.splice(at..at, more);
            }
            Self::Remove => return None,
            Self::SwapFiles { with } => changed.clone_from(&others[with.index(others.len())]),
        }
        Some(changed)
    }
}

fn find_tamperings(bench: &Bench, tamperings: u32) {
    let files = bench.files();
    let contents: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    bench.verify().unwrap();
    let mut runner = TestRunner::new(Config { cases: tamperings, failure_persistence: None, ..Config::default() });

    let found = runner.run(&(any::<prop::sample::Index>(), Tampering::any()), |(file, tampering)| {
        let file = file.index(files.len());
        let changed = tampering.apply(&contents[file], &contents);
        prop_assume!(changed.as_ref() != Some(&contents[file]));
        match changed {
            Some(changed) => fs::write(&files[file], changed).unwrap(),
            None => fs::remove_file(&files[file]).unwrap(),
        }

        let found = bench.verify();

        fs::write(&files[file], &contents[file]).unwrap();
        let is_gone = matches!(found, Err(CliError::TextFile { .. })) && files[file].ends_with("checkpoint");
        prop_assert!(is_broken(&found) || is_gone, "{}: {found:?}", files[file].display());
        Ok(())
    });
    found.unwrap();
    bench.verify().unwrap();
}

#[test]
fn ten_thousand_tamperings_are_all_found() {
    find_tamperings(&Bench::new(23, 4), 9_000);
    find_tamperings(&Bench::new(300, 7), 1_000);
}

#[test]
fn a_log_that_another_key_signed_anew_is_found() {
    let bench = Bench::new(23, 4);
    let forged = Bench::signed_by(SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap(), 23, 4);

    let found = verify(&forged.folder(), Some(bench.key.verifier()), None);
    let unknown = verify(&forged.folder(), None, None);

    assert!(is_broken(&found), "{found:?}");
    assert!(!unknown.unwrap().is_signed);
}

#[test]
fn entries_missing_at_the_end_are_told_from_a_kept_checkpoint_alone() {
    let (shorter, bench) = (Bench::new(23, 0), Bench::new(23, 4));

    let alone = verify(&shorter.folder(), Some(bench.key.verifier()), None);
    let found = verify(&shorter.folder(), Some(bench.key.verifier()), Some(&bench.kept()));

    assert_eq!(alone.unwrap().entries, 23);
    let message = found.unwrap_err().to_string();
    assert!(message.ends_with("the one that was kept has 27 entries, and it has 23: the rest is missing"), "{message}");
}

#[test]
fn entries_out_of_order_are_found_though_the_key_signed_them() {
    let bench = Bench::new(1, 0);
    for (leaves, reason) in [
        (vec![leaf(0), leaf(2)], "it calls itself entry 2"),
        (vec![leaf(0), b"{}".to_vec()], "it is no entry of a signing log"),
        (vec![leaf(0), leaf(5)], "it calls itself entry 5"),
        (
            vec![
                leaf(0),
                LogEntry::Counter(CounterEntry { seq: 1, time: Timestamp::from_unix(0), counter: 2 }).to_leaf(),
            ],
            "the counter goes from 0 to 2",
        ),
    ] {
        let mut edge = Edge::default();
        for leaf in &leaves {
            assert!(edge.append(leaf, &mut Vec::new()));
        }
        let note = Checkpoint::new(ORIGIN, 2, edge.tree().root(), Some(0)).sign(&bench.key).unwrap();
        let mut entries = Vec::new();
        assert!(push_leaf(&mut entries, &leaves[1]));
        fs::write(bench.folder().join("journal"), frame(&entries, &note).unwrap()).unwrap();

        let message = verify(&bench.folder(), None, None).unwrap_err().to_string();

        assert!(message.ends_with(reason), "{message}");
    }
}

#[test]
fn the_log_of_a_development_signer_is_checked_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.log");
    let mut lines = Vec::new();
    (0..3).fold(ChainHead::default(), |head, second| {
        let start = lines.len();
        lines.extend_from_slice(format!(r#"{{"time":"2027-01-15T08:00:0{second}Z"}}"#).as_bytes());
        head.seal(&mut lines, start)
    });
    fs::write(&path, &lines).unwrap();

    let verified = verify(&path, None, None).unwrap();
    lines[40] ^= 1;
    fs::write(&path, &lines).unwrap();
    let found = verify(&path, None, None).unwrap_err().to_string();

    assert_eq!(verified.entries, 3);
    assert_eq!(verified.to.unwrap().to_string(), "2027-01-15T08:00:02Z");
    assert!(found.contains("line 1"), "{found}");
    assert!(matches!(verify(&path, None, Some(&path)), Err(CliError::Usage(_))));
}
