use std::{
    fs::{DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use agentkeys_crypto::private_file::folder_of;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, fstat, open, openat, renameat, statat, unlinkat},
    io::Errno,
};

use crate::socket::own_uid;

/// Why a file that holds a secret was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// Others could exchange the file, or read it.
    #[error("`{}` is not safe for a token: {reason}", folder.display())]
    InsecureFolder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The system refused.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else lies there, and is not ours to replace.
    #[error("`{}` is not a file of its own", .0.display())]
    NotAFile(PathBuf),
}

/// A file 0600 that is replaced whole.
///
/// Whoever opens it finds all of the old or of the new content. It does not wait for the disk: what it holds is made
/// anew after a restart.
#[derive(Clone, Debug)]
pub(crate) struct PrivateFile {
    path: PathBuf,
    folder: Folder,
}

/// What kind of folder a file is in. In either case it is this process's user's.
#[derive(Clone, Copy, Debug)]
enum Folder {
    /// Nobody else may write into it.
    Owned,
    /// Nobody else may do anything in it; made where it is missing.
    Private,
}

impl PrivateFile {
    /// A file in a folder that is there, and into which nobody else may write.
    pub(crate) fn in_owned_folder(path: &Path) -> Self {
        Self { path: path.to_owned(), folder: Folder::Owned }
    }

    /// A file in a folder that is nobody else's at all, and is made 0700 where it is missing.
    pub(crate) fn in_private_folder(path: &Path) -> Self {
        Self { path: path.to_owned(), folder: Folder::Private }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it over whatever was there. Only one may do so at a time.
    pub(crate) fn replace(&self, bytes: &[u8]) -> Result<(), PrivateFileError> {
        if matches!(self.folder, Folder::Private) {
            DirBuilder::new().recursive(true).mode(0o700).create(self.parent()).map_err(|error| self.failed(error))?;
        }
        let folder = self.open_folder()?;
        self.check_target(&folder)?;
        self.write(&folder, bytes).map_err(|error| self.failed(error))
    }

    /// Removes it, if it is there.
    pub(crate) fn remove(&self) -> Result<(), PrivateFileError> {
        let folder = self.open_folder()?;
        self.check_target(&folder)?;
        let name = self.name().map_err(|error| self.failed(error))?;
        remove(&folder, name).map_err(|error| self.failed(error))
    }

    /// All that follows goes by the open folder, and not by a path that somebody may turn elsewhere.
    fn open_folder(&self) -> Result<File, PrivateFileError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = || -> io::Result<_> {
            let folder = File::from(open(self.parent(), flags, Mode::empty())?);
            let found = fstat(&folder)?;
            Ok((folder, found))
        };
        let (folder, found) = opened().map_err(|error| self.failed(error))?;
        let insecure = |reason| Err(PrivateFileError::InsecureFolder { folder: self.parent().to_owned(), reason });
        if found.st_uid != own_uid() {
            return insecure("it belongs to another user");
        }
        let (forbidden, reason) = match self.folder {
            Folder::Owned => (Mode::WGRP | Mode::WOTH, "others may write into it"),
            Folder::Private => (Mode::RWXG | Mode::RWXO, "others may look into it"),
        };
        if Mode::from_raw_mode(found.st_mode).intersects(forbidden) { insecure(reason) } else { Ok(folder) }
    }

    fn check_target(&self, folder: &File) -> Result<(), PrivateFileError> {
        let name = self.name().map_err(|error| self.failed(error))?;
        match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed(error.into())),
            Ok(found) if FileType::from_raw_mode(found.st_mode).is_file() && found.st_uid == own_uid() => Ok(()),
            Ok(_) => Err(PrivateFileError::NotAFile(self.path.clone())),
        }
    }

    fn write(&self, folder: &File, bytes: &[u8]) -> io::Result<()> {
        let name = self.name()?;
        let draft = format!(".{name}.new");
        // One that a crash has left.
        remove(folder, &draft)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(folder, &draft, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(bytes).and_then(|()| Ok(renameat(folder, &draft, folder, name)?));
        if written.is_err() {
            // The first failure says more than one of cleaning up after it.
            let _ = remove(folder, &draft);
        }
        written
    }

    fn parent(&self) -> &Path {
        folder_of(&self.path)
    }

    fn name(&self) -> io::Result<&str> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a name"))
    }

    fn failed(&self, source: io::Error) -> PrivateFileError {
        PrivateFileError::Io { path: self.path.clone(), source }
    }
}

fn remove(folder: &File, name: &str) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        removed => Ok(removed?),
    }
}
