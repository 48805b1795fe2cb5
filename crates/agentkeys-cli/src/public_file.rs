//! Files that others may read, as far as the system's mask lets them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use agentkeys_crypto::private_file::folder_of;

use crate::random_name::random_name;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and [`io::ErrorKind::AlreadyExists`] says so.
    Keep,
    /// Readers find all of the old or of the new one. A link stays one.
    Replace,
}

/// Writes a file whole, and returns once it is on disk under its name.
pub(crate) fn write(path: &Path, text: &str, existing: Existing) -> io::Result<()> {
    let target = match existing {
        Existing::Replace => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
        Existing::Keep => path.to_owned(),
    };
    let folder = folder_of(&target);
    let draft = folder.join(random_name(".agentkeys-").map_err(io::Error::other)?);
    let put = || match existing {
        // Fails where the name is taken.
        Existing::Keep => fs::hard_link(&draft, &target),
        Existing::Replace => fs::rename(&draft, &target),
    };
    let written = write_synced(&draft, text, &target).and_then(|()| put());
    // After a rename there is no draft; what went wrong counts, not what is left of it.
    let _ = fs::remove_file(&draft);
    written?;
    File::open(folder)?.sync_all()
}

fn write_synced(draft: &Path, text: &str, target: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(draft)?;
    file.write_all(text.as_bytes())?;
    if let Ok(found) = target.metadata() {
        file.set_permissions(found.permissions())?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "a").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&target, &link).unwrap();

        write(&link, "b", Existing::Replace).unwrap();

        assert_eq!(fs::read_to_string(&target).unwrap(), "b");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_is_to_stay_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("approval.json");

        write(&path, "a", Existing::Keep).unwrap();
        let refused = write(&path, "b", Existing::Keep).unwrap_err();

        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
