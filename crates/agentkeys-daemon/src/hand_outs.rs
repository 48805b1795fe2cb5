mod entry;

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

pub use self::entry::{Door, HandOut, Outcome};

/// A file that has grown to this makes room for a new one.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// Remembers every hand-out before it happens, one line of JSON for each, in a file 0600.
///
/// What [`append`](Self::append) has taken survives the end of the process, and not a sudden end of the machine:
/// nothing waits for the disk. At 4 MiB the file is renamed to end in `.1`, in place of the one before. Several
/// processes may append to one file.
#[derive(Debug)]
pub struct HandOutLog {
    path: PathBuf,
    file: Mutex<LogFile>,
}

impl HandOutLog {
    /// Opens the record at `path`, made at first, with its folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(LogFile::open(path)?) })
    }

    /// Records `hand_out`.
    ///
    /// # Errors
    ///
    /// Where the line could not be written whole. The caller must not go on to do what it meant to record.
    pub fn append(&self, hand_out: &HandOut) -> io::Result<()> {
        let mut line = serde_json::to_vec(hand_out)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let size = match file.size_at(&self.path)? {
            Some(size) => size,
            // Renamed by another process, or removed: what is written there nobody would find.
            None => file.reopen(&self.path)?,
        };
        if size.saturating_add(line.len() as u64) > LARGEST_FILE {
            file.rotate(&self.path)?;
        }
        file.write(&line)
    }
}

/// The file that is appended to.
#[derive(Debug)]
struct LogFile {
    file: File,
    /// The file's last line is not whole, and the next must not become a part of it.
    is_torn: bool,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let options = OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(flags).clone();
        let file = options.open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the record of hand-outs is not a file"));
        }
        if found.mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let mut last = [b'\n'];
        if let Some(end) = found.len().checked_sub(1) {
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut last, end)?;
        }
        Ok(Self { file, is_torn: last != [b'\n'] })
    }

    /// How large the file is, if it still is the one at `path`.
    fn size_at(&self, path: &Path) -> io::Result<Option<u64>> {
        let own = self.file.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(found) if (found.dev(), found.ino()) == (own.dev(), own.ino()) => Ok(Some(own.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn reopen(&mut self, path: &Path) -> io::Result<u64> {
        *self = Self::open(path)?;
        Ok(self.file.metadata()?.len())
    }

    /// Makes room, unless another process just did.
    fn rotate(&mut self, path: &Path) -> io::Result<()> {
        match self.file.try_lock() {
            Ok(()) => {}
            // Another process is about to make room; until then the file grows a little further.
            Err(fs::TryLockError::WouldBlock) => return Ok(()),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        if self.size_at(path)?.is_some() {
            fs::rename(path, before(path))?;
        }
        // The lock goes with the file.
        self.reopen(path).map(drop)
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let line = if self.is_torn { &[b"\n", line].concat() } else { line };
        let written = loop {
            match self.file.write(line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => break written?,
            }
        };
        self.is_torn = written != line.len();
        if self.is_torn {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "the record of hand-outs took half a line"));
        }
        Ok(())
    }
}

/// The last entries of the record at `path`, the oldest first, and `most` of them at most.
///
/// Lines that are none of ours, such as half a line that a full disk has left, are skipped.
pub fn read_last(path: &Path, most: usize) -> io::Result<Vec<HandOut>> {
    let mut last = entries(path, most)?;
    if last.len() < most {
        let mut earlier = entries(&before(path), most - last.len())?;
        earlier.append(&mut last);
        last = earlier;
    }
    Ok(last)
}

fn entries(path: &Path, most: usize) -> io::Result<Vec<HandOut>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let lines = bytes.rsplit(|byte| *byte == b'\n');
    let mut found: Vec<HandOut> = lines.filter_map(|line| serde_json::from_slice(line).ok()).take(most).collect();
    found.reverse();
    Ok(found)
}

/// Where the record before this one is.
fn before(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use agentkeys_api::ErrorCode;
    use agentkeys_types::{RoleName, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::Peer;

    fn hand_out(number: i64) -> HandOut {
        let peer = Peer { uid: 1000, pid: Some(7), executable: Some("/usr/bin/a\nb \u{1f511}".into()) };
        HandOut {
            role: Some(RoleName::default()),
            access_key_id: Some("ASIA1".to_owned()),
            expires_at: Some(Timestamp::from_unix(number + 900)),
            ..HandOut::new(Timestamp::from_unix(number), Door::AgentSocket, Outcome::HandedOut).by(&peer)
        }
    }

    fn moments(path: &Path, most: usize) -> Vec<i64> {
        read_last(path, most).unwrap().iter().map(|entry| entry.at.as_unix()).collect()
    }

    struct Bench {
        path: PathBuf,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self { path: folder.path().join("inner/hand-outs.jsonl"), _folder: folder }
        }

        fn open(&self) -> HandOutLog {
            HandOutLog::open(&self.path).unwrap()
        }
    }

    #[test]
    fn what_was_recorded_reads_back_and_only_its_owner_may_read_it() {
        let bench = Bench::new();
        let log = bench.open();
        let refused = HandOut::new(Timestamp::from_unix(2), Door::Endpoint, Outcome::Refused(ErrorCode::TokenInvalid));

        log.append(&hand_out(1)).unwrap();
        log.append(&refused).unwrap();

        assert_eq!(read_last(&bench.path, 9).unwrap(), [hand_out(1), refused]);
        assert_eq!(moments(&bench.path, 1), [2]);
        assert_eq!(fs::metadata(&bench.path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(bench.path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn half_a_line_spoils_no_other() {
        let bench = Bench::new();
        bench.open().append(&hand_out(1)).unwrap();
        OpenOptions::new().append(true).open(&bench.path).unwrap().write_all(br#"{"at":"19"#).unwrap();

        bench.open().append(&hand_out(2)).unwrap();

        assert_eq!(moments(&bench.path, 9), [1, 2]);
    }

    #[test]
    fn a_full_file_makes_room_for_a_new_one_and_is_kept() {
        let bench = Bench::new();
        let (log, other) = (bench.open(), bench.open());
        log.append(&hand_out(1)).unwrap();
        let filler = "x".repeat(usize::try_from(LARGEST_FILE).unwrap()) + "\n";
        OpenOptions::new().append(true).open(&bench.path).unwrap().write_all(filler.as_bytes()).unwrap();

        log.append(&hand_out(2)).unwrap();
        other.append(&hand_out(3)).unwrap();

        assert_eq!(moments(&bench.path, 9), [1, 2, 3]);
        assert_eq!(moments(&bench.path, 2), [2, 3]);
        assert_eq!(moments(&before(&bench.path), 9), [1]);
        assert!(fs::metadata(&bench.path).unwrap().len() < 1000);
    }

    #[test]
    fn a_record_that_was_removed_is_begun_anew() {
        let bench = Bench::new();
        let log = bench.open();
        log.append(&hand_out(1)).unwrap();

        fs::remove_file(&bench.path).unwrap();
        log.append(&hand_out(2)).unwrap();

        assert_eq!(moments(&bench.path, 9), [2]);
    }

    #[test]
    fn what_cannot_be_recorded_is_an_error() {
        let bench = Bench::new();
        let log = bench.open();

        fs::remove_dir_all(bench.path.parent().unwrap()).unwrap();
        assert!(log.append(&hand_out(1)).is_err());

        fs::create_dir(bench.path.parent().unwrap()).unwrap();
        symlink("/dev/null", &bench.path).unwrap();
        assert!(log.append(&hand_out(1)).is_err());
    }

    #[test]
    fn processes_that_append_at_once_lose_nothing_but_what_is_too_old() {
        let bench = Bench::new();
        let padding = "x".repeat(2000);

        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (log, padding) = (bench.open(), padding.clone());
                scope.spawn(move || {
                    for number in 0..800 {
                        let entry =
                            HandOut { access_key_id: Some(padding.clone()), ..hand_out(thread * 1000 + number) };
                        log.append(&entry).unwrap();
                    }
                });
            }
        });

        let mut found = moments(&bench.path, usize::MAX);
        found.sort_unstable();
        let all: Vec<i64> = (0..4).flat_map(|thread| (0..800).map(move |number| thread * 1000 + number)).collect();
        assert_eq!(found, all);
        assert!(before(&bench.path).exists());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_garbage_hides_an_entry_or_stops_the_reader(
            garbage in prop::collection::vec(prop::collection::vec(any::<u8>().prop_filter("in one line", |byte| *byte != b'\n'), 0..80), 0..8),
            torn in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let bench = Bench::new();
            let log = bench.open();
            let mut recorded = Vec::new();
            for (number, mut line) in (0..).zip(garbage) {
                line.push(b'\n');
                OpenOptions::new().append(true).open(&bench.path).unwrap().write_all(&line).unwrap();
                log.append(&hand_out(number)).unwrap();
                recorded.push(number);
            }
            OpenOptions::new().append(true).open(&bench.path).unwrap().write_all(&torn).unwrap();

            prop_assert_eq!(moments(&bench.path, usize::MAX), recorded);
        }
    }
}
