use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::error::CliError;

/// A folder 0700 that nobody else has. Removed when dropped, with all that is in it.
#[derive(Debug)]
pub(super) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// A fresh one, named after `prefix`.
    pub(super) fn create(prefix: &Path) -> Result<Self, CliError> {
        let mut bits = [0; 8];
        getrandom::fill(&mut bits).map_err(std::io::Error::from)?;
        let mut name = prefix.as_os_str().to_owned();
        name.push(format!("-{:016x}", u64::from_ne_bytes(bits)));
        let path = PathBuf::from(name);
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
        let folder = PrivateFolder::create(&place.path().join("run")).unwrap();
        let other = PrivateFolder::create(&place.path().join("run")).unwrap();
        fs::write(folder.path().join("token"), "t").unwrap();
        let path = folder.path().to_owned();

        assert_ne!(folder.path(), other.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }
}
