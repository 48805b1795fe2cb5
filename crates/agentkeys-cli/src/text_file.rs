use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use agentkeys_crypto::private_file::folder_of;

use crate::{error::CliError, random_name::random_name};

/// A file of settings, as it was when it was read.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// Where it is, behind every link.
    path: PathBuf,
    text: Option<String>,
    mode: u32,
}

impl TextFile {
    /// Reads the file at `path`, which need not exist. A link stays one: what it leads to is read and written.
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        let failed = |error: io::Error| refused(path, error.to_string());
        if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(Self { path: path.to_owned(), text: None, mode: 0o600 });
        }
        let path = &path.canonicalize().map_err(failed)?;
        let found = path.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(refused(path, "it is not a file".to_owned()));
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(refused(path, "it belongs to another user".to_owned()));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        Ok(Self { path: path.clone(), text: Some(text), mode: found.mode() & 0o7777 })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; nothing where there is none.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Puts `text` in its place, or removes it: readers find all of the old or of the new one.
    ///
    /// # Errors
    ///
    /// When somebody has changed it since it was read, too.
    pub(crate) fn replace(&self, text: Option<&str>) -> Result<(), CliError> {
        if text == self.text() {
            return Ok(());
        }
        let failed = |error: io::Error| refused(&self.path, error.to_string());
        let folder = folder_of(&self.path);
        if self.text.is_none() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let draft = folder.join(random_name(".agentkeys-")?);
        let replaced = self.replace_by(&draft, text);
        if replaced.is_err() {
            // What went wrong counts, not what is left of it.
            let _ = fs::remove_file(&draft);
        }
        replaced?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    fn replace_by(&self, draft: &Path, text: Option<&str>) -> Result<(), CliError> {
        let failed = |error: io::Error| refused(&self.path, error.to_string());
        if let Some(text) = text {
            self.write(draft, text).map_err(failed)?;
        }
        if Self::open(&self.path)?.text != self.text {
            return Err(refused(&self.path, "somebody else changed it meanwhile".to_owned()));
        }
        if text.is_some() { fs::rename(draft, &self.path) } else { fs::remove_file(&self.path) }.map_err(failed)
    }

    fn write(&self, draft: &Path, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.sync_all()
    }
}

fn refused(path: &Path, reason: String) -> CliError {
    CliError::TextFile { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_keeps_its_mode_and_its_link_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("dotfiles"), folder.path().join("config"));
        fs::write(&target, "a").unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
        symlink(&target, &link).unwrap();

        TextFile::open(&link).unwrap().replace(Some("b")).unwrap();

        assert_eq!(fs::read_to_string(&target).unwrap(), "b");
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(names(folder.path()), ["config", "dotfiles"]);
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_can_be_removed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".aws/config");

        TextFile::open(&path).unwrap().replace(Some("b")).unwrap();
        let mode = fs::metadata(&path).unwrap().mode() & 0o777;
        TextFile::open(&path).unwrap().replace(None).unwrap();

        assert_eq!(mode, 0o600);
        assert!(!path.exists());
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, "a").unwrap();
        let file = TextFile::open(&path).unwrap();
        fs::write(&path, "theirs").unwrap();

        let refused = file.replace(Some("b"));

        assert!(matches!(refused, Err(CliError::TextFile { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(names(folder.path()), ["config"]);
    }

    #[test]
    fn where_nothing_is_to_change_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings/config");

        TextFile::open(&path).unwrap().replace(None).unwrap();

        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        symlink(folder.path().join("missing"), folder.path().join("link")).unwrap();

        for path in [folder.path().to_owned(), folder.path().join("link"), PathBuf::from("/dev/null")] {
            assert!(matches!(TextFile::open(&path), Err(CliError::TextFile { .. })), "{}", path.display());
        }
    }
}
