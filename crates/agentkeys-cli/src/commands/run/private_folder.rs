use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::{error::CliError, random_name::random_name};

/// A folder 0700 that nobody else has. Removed when dropped, with all that is in it.
#[derive(Debug)]
pub(super) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// A fresh one in a folder that is there.
    pub(super) fn create_in(folder: &Path) -> Result<Self, CliError> {
        let path = folder.join(random_name("run-")?);
        let failed = |source| CliError::File { context: format!("`{}` cannot be made", path.display()), source };
        // One that is there already is not ours.
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "a folder is still there");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_its_owners_alone_and_gone_at_the_end() {
        let place = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::create_in(place.path()).unwrap();
        let other = PrivateFolder::create_in(place.path()).unwrap();
        fs::write(folder.path().join("token"), "t").unwrap();
        let path = folder.path().to_owned();

        assert_ne!(folder.path(), other.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }
}
