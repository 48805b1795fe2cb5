use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{Ground, search::Search};

/// Larger files are not read, and that is said.
const LARGEST: u64 = 1024 * 1024;
/// How many files are read at most.
const MOST_FILES: usize = 4000;
/// How far down `~/.config` goes the search.
const DEEPEST: usize = 5;

/// Where tokens end up by pasting: histories, and files that programs read passwords and variables from.
const NAMED: [&str; 41] = [
    ".ash_history",
    ".aws/config",
    ".aws/credentials",
    ".bash_aliases",
    ".bash_history",
    ".bash_login",
    ".bash_profile",
    ".bashrc",
    ".cargo/credentials.toml",
    ".curlrc",
    ".docker/config.json",
    ".git-credentials",
    ".gitconfig",
    ".histfile",
    ".history",
    ".irb_history",
    ".ksh_history",
    ".lesshst",
    ".local/share/fish/fish_history",
    ".local/share/nushell/history.txt",
    ".mysql_history",
    ".netrc",
    ".node_repl_history",
    ".npmrc",
    ".pgpass",
    ".profile",
    ".psql_history",
    ".pypirc",
    ".python_history",
    ".sh_history",
    ".sqlite_history",
    ".ssh/config",
    ".ssh/environment",
    ".viminfo",
    ".wget-hsts",
    ".wgetrc",
    ".zhistory",
    ".zprofile",
    ".zsh_history",
    ".zshenv",
    ".zshrc",
];

/// Looks at the files of the ground, the likeliest places first.
pub(super) fn search(ground: &Ground, search: &mut Search) {
    let mut files = Files { roots: roots(ground), seen: BTreeSet::new(), search };
    for name in NAMED {
        files.look_at(&ground.home.join(name));
    }
    if let Some(histfile) = &ground.histfile {
        files.look_at(&ground.current.join(histfile));
    }
    for folder in upwards(&ground.current, &ground.home) {
        files.look_at_environment_files(folder);
    }
    files.look_at_environment_files(&ground.home);
    for folder in folders_in(&ground.home) {
        files.look_at_environment_files(&folder);
    }
    files.look_below(&ground.home.join(".config"), DEEPEST);
}

/// What a link may lead to.
fn roots(ground: &Ground) -> Vec<PathBuf> {
    let histories = ground.histfile.iter().filter_map(|histfile| histfile.parent());
    let folders = [ground.home.as_path(), &ground.current].into_iter().chain(histories);
    folders.filter_map(|folder| fs::canonicalize(folder).ok()).collect()
}

/// The current folder and those above it, up to home; the current one alone where that is elsewhere.
fn upwards<'p>(current: &'p Path, home: &Path) -> Vec<&'p Path> {
    if !current.starts_with(home) {
        return vec![current];
    }
    current.ancestors().take_while(|folder| folder.starts_with(home)).collect()
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// A search through files.
struct Files<'s> {
    roots: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    search: &'s mut Search,
}

impl Files<'_> {
    fn look_at_environment_files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".env") {
                self.look_at(&entry.path());
            }
        }
    }

    fn look_below(&mut self, folder: &Path, depth: usize) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !self.search.has_time() {
                return;
            }
            // A folder behind a link is not gone into, so that there is no way round in a circle.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 1 => self.look_below(&entry.path(), depth - 1),
                Ok(kind) if !kind.is_dir() => self.look_at(&entry.path()),
                _ => {}
            }
        }
    }

    /// Looks at one file, if it is one, may be read and was not looked at before.
    fn look_at(&mut self, path: &Path) {
        if !self.search.has_time() {
            return;
        }
        let Ok(real) = fs::canonicalize(path) else { return };
        if !self.roots.iter().any(|root| real.starts_with(root)) || self.seen.contains(&real) {
            return;
        }
        if self.seen.len() >= MOST_FILES {
            return self.search.stop_early();
        }
        if let Some(file) = open(&real) {
            match read(file) {
                Some(content) => self.search.file(path, &content),
                None => {
                    self.search.too_large.insert(path.to_owned());
                }
            }
        }
        self.seen.insert(real);
    }
}

/// Opens a regular file. Opening waits for nobody, and what is a pipe or a device after all is not read.
fn open(real: &Path) -> Option<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let is_file = |file: &fs::Metadata| file.is_file();
    // Looked at before, since opening a device may already do something.
    fs::symlink_metadata(real).ok().filter(is_file)?;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(real).ok()?;
    file.metadata().ok().filter(is_file)?;
    Some(file)
}

/// The whole content, unless it is too large.
fn read(file: File) -> Option<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::new());
    // One byte more tells that there is more. What cannot be read to its end is judged by its beginning.
    let _ = file.take(LARGEST + 1).read_to_end(&mut content);
    (content.len() as u64 <= LARGEST).then_some(content)
}
