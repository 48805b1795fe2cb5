//! Files that only their owner may read: folders 0700, files 0600 from the moment they exist.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use zeroize::Zeroizing;

/// Makes `folder` and its parents, 0700 where they are new.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    let is_new = !folder.exists();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    if is_new { heir::give_folder(folder) } else { Ok(()) }
}

/// Writes a file that must not exist yet, and returns once it is on disk under its name.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] when it does exist; it is then left as it was.
pub fn create_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    create_folder(folder)?;
    // A half-written file never appears under the final name: `link` fails where the name is taken.
    let draft = path.with_extension(format!("new-{}", hex::encode(crate::random::<8>())));
    let written = write_synced(&draft, bytes).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    written?;
    File::open(folder)?.sync_all()
}

/// Reads a private file.
///
/// # Errors
///
/// [`io::ErrorKind::PermissionDenied`] when others than its owner may read or write it.
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            let advice = format!("{} must be private: chmod 600 it (its mode is {:o})", path.display(), mode & 0o777);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, advice));
        }
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0)));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a private file, or makes it first with what `make` gives.
///
/// Two processes that start at once agree on one content.
pub fn read_or_create(path: &Path, make: impl FnOnce() -> Zeroizing<Vec<u8>>) -> io::Result<Zeroizing<Vec<u8>>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    match create_new(path, &make()) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read(path),
    }
}

/// Writes a file over whatever is there, and returns once it is on disk: whoever opens it finds all of the old or the
/// new content. Only one may do so at a time.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create_folder(folder_of(path))?;
    let draft = path.with_extension("new");
    // One that a crash has left.
    remove(&draft)?;
    write_synced(&draft, bytes)?;
    rename(&draft, path)
}

/// Renames a file over another, and returns once that is on disk: whoever opens `to` finds the one or the other.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    File::open(folder_of(to))?.sync_all()
}

/// Removes a file, if there is one, and returns once that is on disk.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    File::open(folder_of(path))?.sync_all()
}

/// The folder that a file lies in: the current one where the path is a name alone.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What root makes in somebody's folder is theirs: they could not read it otherwise.
///
/// They may put something else in its place at any time, so it is never followed.
#[cfg(unix)]
mod heir {
    use std::{
        fs::{self, File, Metadata},
        io,
        os::unix::fs::{MetadataExt, fchown, lchown},
        path::Path,
    };

    /// Gives an open file to the owner of its folder, whatever is at its path by now.
    pub(super) fn give_file(file: &File, path: &Path) -> io::Result<()> {
        match heir_of(path, &file.metadata()?)? {
            Some((user, group)) => fchown(file, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// Gives a folder to the owner of the one that it is in; a link that has taken its place, the link alone.
    pub(super) fn give_folder(path: &Path) -> io::Result<()> {
        match heir_of(path, &path.symlink_metadata()?)? {
            Some((user, group)) => lchown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    fn heir_of(path: &Path, made: &Metadata) -> io::Result<Option<(u32, u32)>> {
        let owner = fs::metadata(super::folder_of(path))?;
        Ok((made.uid() == 0 && owner.uid() != 0).then(|| (owner.uid(), owner.gid())))
    }
}

/// Elsewhere nobody makes files for somebody else.
#[cfg(not(unix))]
mod heir {
    use std::{fs::File, io, path::Path};

    pub(super) fn give_file(_: &File, _: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn give_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    heir::give_file(&file, path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
        path::PathBuf,
    };

    use tempfile::TempDir;

    use super::*;

    const SOMEBODY: u32 = 65534;

    /// Somebody's folder, with a file of root's beside it; only root can make it.
    fn somebodys_folder() -> Option<(TempDir, PathBuf, PathBuf)> {
        let outer = tempfile::tempdir().unwrap();
        let (theirs, roots) = (outer.path().join("theirs"), outer.path().join("roots"));
        fs::create_dir(&theirs).unwrap();
        fs::write(&roots, "root's").unwrap();
        (owner(&roots) == 0).then(|| {
            chown(&theirs, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
            (outer, theirs, roots)
        })
    }

    fn owner(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().uid()
    }

    #[test]
    fn what_root_makes_in_somebodys_folder_is_theirs() {
        let Some((_outer, theirs, _)) = somebodys_folder() else { return };

        create_new(&theirs.join("inner/secret"), b"one").unwrap();

        assert_eq!(["inner", "inner/secret"].map(|name| owner(&theirs.join(name))), [SOMEBODY; 2]);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_just_made_does_not_turn_its_gift_elsewhere() {
        let Some((_outer, theirs, roots)) = somebodys_folder() else { return };
        let (path, moved) = (theirs.join("secret"), theirs.join("moved"));
        let file = File::create(&path).unwrap();
        fs::rename(&path, &moved).unwrap();
        symlink(&roots, &path).unwrap();

        heir::give_file(&file, &path).unwrap();

        assert_eq!((owner(&roots), owner(&path), owner(&moved)), (0, 0, SOMEBODY));
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_just_made_is_given_itself() {
        let Some((_outer, theirs, roots)) = somebodys_folder() else { return };
        let path = theirs.join("inner");
        symlink(&roots, &path).unwrap();

        heir::give_folder(&path).unwrap();

        assert_eq!((owner(&roots), owner(&path)), (0, SOMEBODY));
    }

    #[test]
    fn a_name_alone_lies_in_the_current_folder() {
        for (path, folder) in [("kept.note", "."), ("./kept.note", "."), ("a/kept.note", "a"), ("/kept.note", "/")] {
            assert_eq!(folder_of(Path::new(path)), Path::new(folder), "{path}");
        }
    }

    #[test]
    fn a_file_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner/secret");

        let first = read_or_create(&path, || Zeroizing::new(b"one".to_vec())).unwrap();
        let second = read_or_create(&path, || Zeroizing::new(b"two".to_vec())).unwrap();

        assert_eq!((first.as_slice(), second.as_slice()), (&b"one"[..], &b"one"[..]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_replaced_whole_whatever_a_crash_has_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner/state");
        replace(&path, b"a longer one").unwrap();
        fs::write(path.with_extension("new"), b"half").unwrap();

        replace(&path, b"two").unwrap();

        assert_eq!(read(&path).unwrap().as_slice(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create_new(&path, b"one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();

        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
