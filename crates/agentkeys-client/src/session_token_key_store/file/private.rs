//! A folder that only its owner may enter, and its files, which only their owner may read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::super::StorageError;

/// Nothing that is kept here is larger.
const LARGEST: u64 = 64 * 1024;

/// A folder of mode 0700 whose files have mode 0600 from the moment they exist.
///
/// Owner and modes are looked at whenever it is used, and a symbolic link is never followed.
#[derive(Clone, Debug)]
pub(crate) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// The folder at `path`, which need not exist.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where a file of this name lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What the file holds, if there is one.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        if !self.is_there()? {
            return Ok(None);
        }
        let path = self.path(name);
        let file = match open_unfollowed(&path, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(not_opened(&path, &error)),
        };
        check_file(&path, &file)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LARGEST).unwrap_or_default()));
        file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| unusable(&path, &error))?;
        Ok(Some(bytes))
    }

    /// Writes the file, instead of the one before. Whatever happens on the way, one of the two is there in full.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let draft = self.draft(name, bytes)?;
        self.put(&draft, name)
    }

    /// The first half of a `write`: the bytes on disk under another name.
    fn draft(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, StorageError> {
        self.create()?;
        let draft = self.path(&format!("{name}{DRAFT}{}", hex::encode(random::<8>()?)));
        let written = write_synced(&draft, bytes);
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written.map_err(|error| unusable(&draft, &error))?;
        Ok(draft)
    }

    /// The second half: the name now means the new file, also after a power cut.
    fn put(&self, draft: &Path, name: &str) -> Result<(), StorageError> {
        let path = self.path(name);
        fs::rename(draft, &path).map_err(|error| unusable(&path, &error))?;
        self.sync()
    }

    /// Overwrites the file with zeros and removes it, with what crashed writes have left of it.
    ///
    /// The zeros reach the blocks that the file had where a file system writes in place. One that copies on write
    /// or keeps a journal of data, an SSD, a snapshot and a backup may all still hold the old, encrypted bytes.
    pub(crate) fn wipe(&self, name: &str) -> Result<(), StorageError> {
        if !self.is_there()? {
            return Ok(());
        }
        let drafts = format!("{name}{DRAFT}");
        for entry in fs::read_dir(&self.0).map_err(|error| unusable(&self.0, &error))? {
            let entry = entry.map_err(|error| unusable(&self.0, &error))?;
            let found = entry.file_name();
            let found = found.to_string_lossy();
            if found == name || found.starts_with(&drafts) {
                let path = entry.path();
                wipe_file(&path).map_err(|error| unusable(&path, &error))?;
            }
        }
        self.sync()
    }

    /// Held by one process at a time, until it is dropped.
    #[cfg(target_os = "linux")]
    pub(crate) fn lock(&self) -> Result<File, StorageError> {
        self.create()?;
        let folder = File::open(&self.0).map_err(|error| unusable(&self.0, &error))?;
        folder.lock().map_err(|error| unusable(&self.0, &error))?;
        Ok(folder)
    }

    fn create(&self) -> Result<(), StorageError> {
        if self.is_there()? {
            return Ok(());
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0).map_err(|error| unusable(&self.0, &error))?;
        self.is_there().map(|_| ())
    }

    fn is_there(&self) -> Result<bool, StorageError> {
        match fs::symlink_metadata(&self.0) {
            Ok(found) if found.is_dir() => check_owner_and_mode(&self.0, &found, "700").map(|()| true),
            Ok(_) => Err(insecure(&self.0, "it is not a folder", "remove it".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unusable(&self.0, &error)),
        }
    }

    fn sync(&self) -> Result<(), StorageError> {
        // Elsewhere a folder cannot be opened as a file.
        if cfg!(unix) {
            File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(|error| unusable(&self.0, &error))?;
        }
        Ok(())
    }
}

/// Between the name of a file and what tells its drafts apart.
const DRAFT: &str = ".new-";

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, StorageError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| StorageError::KeyUnavailable(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn wipe_file(path: &Path) -> io::Result<()> {
    // What cannot be opened for writing, a symbolic link above all, is only removed.
    if let Ok(mut file) = open_unfollowed(path, OpenOptions::new().write(true)) {
        let length = file.metadata()?.len();
        io::copy(&mut io::repeat(0).take(length), &mut file)?;
        file.sync_all()?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn open_unfollowed(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    // A pipe in the file's place must not make us wait either.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open_unfollowed(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.open(path)
}

fn not_opened(path: &Path, error: &io::Error) -> StorageError {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        let advice = format!("rm '{}'", path.display());
        return insecure(path, "it is a symbolic link", advice);
    }
    unusable(path, error)
}

fn check_file(path: &Path, file: &File) -> Result<(), StorageError> {
    let found = file.metadata().map_err(|error| unusable(path, &error))?;
    if !found.is_file() {
        return Err(insecure(path, "it is not a file", format!("rm '{}'", path.display())));
    }
    check_owner_and_mode(path, &found, "600")
}

#[cfg(unix)]
fn check_owner_and_mode(path: &Path, found: &fs::Metadata, wanted: &str) -> Result<(), StorageError> {
    use std::os::unix::fs::MetadataExt;

    let (owner, own) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != own {
        let advice = format!("chown {own} '{}', if what is in it is yours", path.display());
        return Err(insecure(path, format!("it belongs to user {owner}, not {own}"), advice));
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        let advice = format!("chmod {wanted} '{}'", path.display());
        return Err(insecure(path, format!("others may use it (its mode is {mode:o})"), advice));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner_and_mode(_path: &Path, _found: &fs::Metadata, _wanted: &str) -> Result<(), StorageError> {
    Ok(())
}

fn insecure(path: &Path, fault: impl Into<String>, advice: String) -> StorageError {
    StorageError::Insecure { path: path.to_owned(), fault: fault.into(), advice }
}

pub(super) fn unusable(path: &Path, error: &io::Error) -> StorageError {
    StorageError::File { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder() -> (PrivateFolder, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        (PrivateFolder::at(home.path().join("state/sessions")), home)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn loosen(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Whether it was refused for not being safe, with advice that says `advised`.
    fn is_insecure<T>(outcome: Result<T, StorageError>, advised: &str) -> bool {
        matches!(outcome, Err(StorageError::Insecure { advice, .. }) if advice.contains(advised))
    }

    #[test]
    fn folder_and_file_are_only_their_owners() {
        let (folder, _home) = folder();

        folder.write("a", b"one").unwrap();

        assert_eq!((mode(&folder.0), mode(&folder.path("a"))), (0o700, 0o600));
        assert_eq!(folder.read("a").unwrap().unwrap().as_slice(), b"one");
    }

    #[test]
    fn a_draft_is_only_its_owners_too() {
        let (folder, _home) = folder();

        let draft = folder.draft("a", b"one").unwrap();

        assert_eq!(mode(&draft), 0o600);
    }

    #[test]
    fn a_crash_before_the_rename_leaves_the_old_file() {
        let (folder, _home) = folder();
        folder.write("a", b"one").unwrap();

        let draft = folder.draft("a", b"two").unwrap();

        assert_eq!(folder.read("a").unwrap().unwrap().as_slice(), b"one");
        assert!(draft.exists());
    }

    #[test]
    fn wiping_removes_the_file_and_what_crashes_left_of_it_and_nothing_else() {
        let (folder, _home) = folder();
        folder.write("a", b"one").unwrap();
        folder.write("ab", b"other").unwrap();
        folder.draft("a", b"two").unwrap();

        folder.wipe("a").unwrap();
        folder.wipe("a").unwrap();

        let left: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["ab"]);
    }

    #[test]
    fn a_wiped_file_is_overwritten_before_it_goes() {
        let (folder, home) = folder();
        folder.write("a", b"one").unwrap();
        let other_name = home.path().join("other name");
        fs::hard_link(folder.path("a"), &other_name).unwrap();

        folder.wipe("a").unwrap();

        assert_eq!(fs::read(other_name).unwrap(), [0; 3]);
    }

    #[test]
    fn a_file_that_others_may_use_is_refused() {
        let (folder, _home) = folder();
        folder.write("a", b"one").unwrap();

        for loose in [0o640, 0o604, 0o620, 0o660] {
            loosen(&folder.path("a"), loose);

            assert!(is_insecure(folder.read("a"), "chmod 600"), "{loose:o}");
        }
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let (folder, _home) = folder();
        folder.write("a", b"one").unwrap();
        loosen(&folder.0, 0o755);

        assert!(is_insecure(folder.read("a"), "chmod 700"));
        assert!(is_insecure(folder.write("a", b"two"), "chmod 700"));
        assert!(is_insecure(folder.wipe("a"), "chmod 700"));
    }

    #[test]
    fn a_link_in_the_files_place_is_refused_and_removed_without_its_target() {
        let (folder, home) = folder();
        let target = home.path().join("target");
        fs::write(&target, "precious").unwrap();
        loosen(&target, 0o600);
        folder.write("a", b"one").unwrap();
        folder.wipe("a").unwrap();
        symlink(&target, folder.path("a")).unwrap();

        assert!(is_insecure(folder.read("a"), "rm"));
        folder.wipe("a").unwrap();

        assert!(fs::symlink_metadata(folder.path("a")).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"precious");
    }

    #[test]
    fn a_write_replaces_a_link_and_not_its_target() {
        let (folder, home) = folder();
        let target = home.path().join("target");
        fs::write(&target, "precious").unwrap();
        folder.create().unwrap();
        symlink(&target, folder.path("a")).unwrap();

        folder.write("a", b"one").unwrap();

        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert_eq!(folder.read("a").unwrap().unwrap().as_slice(), b"one");
    }

    #[test]
    fn a_link_in_the_folders_place_is_refused() {
        let (folder, home) = folder();
        let elsewhere = home.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        loosen(&elsewhere, 0o700);
        fs::create_dir_all(folder.0.parent().unwrap()).unwrap();
        symlink(&elsewhere, &folder.0).unwrap();

        assert!(is_insecure(folder.read("a"), "remove"));
        assert!(is_insecure(folder.write("a", b"one"), "remove"));
    }

    #[test]
    fn a_pipe_in_the_files_place_is_refused_without_waiting() {
        let (folder, _home) = folder();
        folder.create().unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, folder.path("a"), rustix::fs::FileType::Fifo, mode, 0).unwrap();

        assert!(is_insecure(folder.read("a"), "rm"));
    }

    #[test]
    fn somebody_elses_file_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (folder, _home) = folder();
        folder.write("a", b"one").unwrap();
        std::os::unix::fs::chown(folder.path("a"), Some(65534), None).unwrap();

        assert!(is_insecure(folder.read("a"), "chown"));
    }

    #[test]
    fn writers_at_once_leave_one_whole_file() {
        let (folder, _home) = folder();
        let contents: Vec<Vec<u8>> = (0..8_u8).map(|writer| vec![writer; 4000]).collect();

        std::thread::scope(|scope| {
            for bytes in &contents {
                scope.spawn(|| (0..10).for_each(|_| folder.write("a", bytes).unwrap()));
            }
        });

        assert!(contents.contains(&folder.read("a").unwrap().unwrap()));
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }
}
