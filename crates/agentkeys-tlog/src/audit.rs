use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Checkpoint, Edge, Hash, LogFile, TILE_WIDTH, VerifierKey, bundle, entries_path, journal::Next};

/// The signed checkpoint of what the tiles hold.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// The groups of entries that the tiles may not hold yet, each with its signed checkpoint.
pub const JOURNAL_FILE: &str = "journal";

/// Why a log's folder is not in order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// It is not what its worker wrote.
    #[error("{place} is not what was written: {reason}")]
    Broken {
        /// The first wrong place.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// A file could not be read.
    #[error("`{}` could not be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no log.
    #[error("there is no log")]
    Missing,
}

/// A log's folder that is in order.
#[derive(Clone, Debug)]
pub struct Audited {
    /// What the log says of itself.
    pub checkpoint: Checkpoint,
    /// The same, signed.
    pub note: String,
    /// All of it, to go on from.
    pub edge: Edge,
    /// The files that are not whole yet as of the last signed checkpoint outside the journal.
    pub settled: Vec<LogFile>,
    /// How many entries it has.
    pub settled_size: u64,
    /// The files that became whole by the journal, and that may not be there.
    pub unsettled: Vec<LogFile>,
    /// How many bytes of the journal are whole groups.
    pub journal: u64,
    /// How many bytes of an unfinished group follow them, which nobody was told of.
    pub torn: u64,
}

/// Checks every byte of the log in `folder`, each signature by `key`, where there is one, and shows each entry to
/// `visit` with its index.
///
/// Entries that are missing at the end can only be told from a newer checkpoint, or by a counter.
pub fn audit(
    folder: &Path,
    key: Option<&VerifierKey>,
    visit: &mut impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> Result<Audited, AuditError> {
    let log = Folder(folder);
    let Some(note) = log.read(CHECKPOINT_FILE)? else { return Err(AuditError::Missing) };
    let note = String::from_utf8(note).map_err(|error| broken(CHECKPOINT_FILE, error))?;
    let mut audit = Audit { log, key, visit, edge: Edge::default(), whole: Vec::new() };
    let checkpoint = audit.open(CHECKPOINT_FILE, &note)?;
    audit.tiles(checkpoint.size)?;
    let settled = audit.edge.files();
    audit.compare_root(CHECKPOINT_FILE, &checkpoint)?;
    audit.journal(checkpoint, note, settled)
}

struct Audit<'a, V> {
    log: Folder<'a>,
    key: Option<&'a VerifierKey>,
    visit: &'a mut V,
    edge: Edge,
    whole: Vec<LogFile>,
}

impl<V: FnMut(u64, &[u8]) -> Result<(), String>> Audit<'_, V> {
    /// The first `size` entries, in tiles.
    fn tiles(&mut self, size: u64) -> Result<(), AuditError> {
        let width = u64::from(TILE_WIDTH);
        for index in 0..size.div_ceil(width) {
            let count = (size - index * width).min(width);
            let path = entries_path(index, u16::try_from(count).unwrap_or(TILE_WIDTH));
            let bundle = self.log.read(&path)?.ok_or_else(|| broken(&path, "it is missing"))?;
            self.bundle(&path, &bundle, count)?;
            for file in std::mem::take(&mut self.whole) {
                if file.path != path {
                    self.log.compare(&file)?;
                }
                self.log.compare_beginnings(&file)?;
            }
        }
        for file in self.edge.files() {
            self.log.compare(&file)?;
            self.log.compare_beginnings(&file)?;
        }
        Ok(())
    }

    fn bundle(&mut self, path: &str, bundle: &[u8], count: u64) -> Result<(), AuditError> {
        let leaves = bundle::leaves(bundle).ok_or_else(|| broken(path, "it ends in the middle of an entry"))?;
        if leaves.len() as u64 != count {
            return Err(broken(path, format_args!("it has {} entries instead of {count}", leaves.len())));
        }
        for leaf in leaves {
            let index = self.edge.tree().size();
            (self.visit)(index, leaf).map_err(|reason| broken(format_args!("{path}, entry {index}"), reason))?;
            // It was read from a bundle, and so fits into one.
            let _ = self.edge.append(leaf, &mut self.whole);
        }
        Ok(())
    }

    /// The groups behind `checkpoint`. Those before it were not cleared away yet.
    fn journal(mut self, checkpoint: Checkpoint, note: String, settled: Vec<LogFile>) -> Result<Audited, AuditError> {
        let bytes = self.log.read(JOURNAL_FILE)?.unwrap_or_default();
        let (mut checkpoint, mut note, mut rest, mut torn) = (checkpoint, note, bytes.as_slice(), 0);
        let settled_size = checkpoint.size;
        loop {
            let place = format!("{JOURNAL_FILE}, byte {}", bytes.len() - rest.len());
            match Next::of(rest) {
                Next::Group { entries, note: signed, rest: behind } => {
                    let next = self.open(&place, signed)?;
                    if next.origin != checkpoint.origin {
                        return Err(broken(&place, "it is of another log"));
                    }
                    if next.size > checkpoint.size {
                        self.bundle(&place, entries, next.size - checkpoint.size)?;
                        self.compare_root(&place, &next)?;
                        (checkpoint, note) = (next, signed.to_owned());
                    }
                    rest = behind;
                }
                Next::End => break,
                Next::Torn => {
                    torn = rest.len();
                    break;
                }
                Next::Broken => return Err(broken(&place, "nobody wrote that")),
            }
        }
        let journal = (bytes.len() - torn) as u64;
        let (edge, unsettled, torn) = (self.edge, self.whole, torn as u64);
        Ok(Audited { checkpoint, note, edge, settled, settled_size, unsettled, journal, torn })
    }

    fn open(&self, place: &str, note: &str) -> Result<Checkpoint, AuditError> {
        let opened = self.key.map_or_else(|| Checkpoint::open_unverified(note), |key| Checkpoint::open(note, key));
        opened.map_err(|error| broken(place, error))
    }

    fn compare_root(&self, place: &str, checkpoint: &Checkpoint) -> Result<(), AuditError> {
        let root = self.edge.tree().root();
        if root == checkpoint.root {
            return Ok(());
        }
        Err(broken(place, format_args!("the root of the entries is {root}, and it says {}", checkpoint.root)))
    }
}

struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, AuditError> {
        let path = self.0.join(path);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AuditError::File { path, source }),
        }
    }

    /// Compares the file that is there with what has to be there.
    fn compare(&self, file: &LogFile) -> Result<(), AuditError> {
        let found = self.read(&file.path)?.ok_or_else(|| broken(&file.path, "it is missing"))?;
        if found == file.bytes { Ok(()) } else { Err(broken(&file.path, "it does not fit the entries")) }
    }

    /// Compares what is left of the file from when it had less.
    fn compare_beginnings(&self, file: &LogFile) -> Result<(), AuditError> {
        let (whole, width) = file.path.split_once(".p/").unwrap_or((&file.path, "256"));
        let width: u16 = width.parse().unwrap_or(TILE_WIDTH);
        let folder = self.0.join(format!("{whole}.p"));
        let failed = |source| AuditError::File { path: folder.clone(), source };
        let partials = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            partials => partials.map_err(failed)?,
        };
        for partial in partials {
            let name = partial.map_err(failed)?.file_name();
            let Some(less) = name.to_str().and_then(|name| name.parse::<u16>().ok()) else {
                return Err(broken(format_args!("{whole}.p"), "something else lies there"));
            };
            let path = format!("{whole}.p/{less}");
            // What is wider was written by a crash ahead of its checkpoint: the journal has it.
            if less < width && self.read(&path)?.is_none_or(|bytes| !is_beginning(&path, &bytes, less, &file.bytes)) {
                return Err(broken(&path, "it does not fit the entries"));
            }
        }
        Ok(())
    }
}

fn is_beginning(path: &str, bytes: &[u8], width: u16, whole: &[u8]) -> bool {
    let width = usize::from(width);
    let is_wide = if path.starts_with("tile/entries/") {
        bundle::leaves(bytes).is_some_and(|leaves| leaves.len() == width)
    } else {
        bytes.len() == width * Hash::LENGTH
    };
    is_wide && whole.starts_with(bytes)
}

fn broken(place: impl Display, reason: impl Display) -> AuditError {
    AuditError::Broken { place: place.to_string(), reason: reason.to_string() }
}
