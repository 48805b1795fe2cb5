use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Another daemon answers there.
    #[error("a daemon already answers at `{}`", .0.display())]
    AlreadyServed(PathBuf),
    /// Others could reach into the folder.
    #[error("`{}` is not safe for a socket: {reason}", folder.display())]
    InsecureFolder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The system refused.
    #[error("cannot listen on `{}`", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else lies there, and is not ours to remove.
    #[error("`{}` is not a socket", .0.display())]
    NotASocket(PathBuf),
}

/// A Unix socket that only its owner can reach, unless it was opened to others. Removed when dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// The socket's name in the file system, and the lock without which nobody takes it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Whether nobody else listens there when this process ends.
    is_ours: bool,
    /// Removed when this process ends, while it is still held.
    _lock: File,
}

impl Socket {
    /// Listens on `path`, in a folder 0700 that is made where it is missing.
    ///
    /// A socket that a dead daemon left is replaced; one that answers is not.
    pub async fn open(path: &Path) -> Result<Self, SocketError> {
        Self::open_with_modes(path, 0o700, 0o600).await
    }

    /// As [`Socket::open`], for a socket that others can connect to where its folder, 0711, is shown to them.
    pub async fn open_to_others(path: &Path) -> Result<Self, SocketError> {
        Self::open_with_modes(path, 0o711, 0o666).await
    }

    /// Takes over a socket on `path` that a service manager listens on, which keeps it.
    ///
    /// # Errors
    ///
    /// When its folder is not safe, or another daemon answers there.
    pub fn adopt(listener: std::os::unix::net::UnixListener, path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io { path: path.to_owned(), source };
        secure_folder(path.parent().unwrap_or(Path::new("/")), 0o700).map_err(failed)??;
        let lock = take_lock(path)?;
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        Ok(Self { listener, file: SocketFile { path: path.to_owned(), is_ours: false, _lock: lock } })
    }

    async fn open_with_modes(path: &Path, folder_mode: u32, mode: u32) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new("/"));
        secure_folder(folder, folder_mode).map_err(failed)??;

        let lock = take_lock(path)?;
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed(source)),
            Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket(path.to_owned())),
            Ok(_) if UnixStream::connect(path).await.is_ok() => {
                return Err(SocketError::AlreadyServed(path.to_owned()));
            }
            Ok(_) => fs::remove_file(path).map_err(failed)?,
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let file = SocketFile { path: path.to_owned(), is_ours: true, _lock: lock };
        // Nobody else could connect in between: the folder is closed to them.
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
        Ok(Self { listener, file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    pub(crate) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours {
            // One that is gone already is no loss.
            let _ = fs::remove_file(&self.path);
        }
        let _ = fs::remove_file(lock_of(&self.path));
    }
}

/// Makes the folder, or checks that nobody but its owner, this process's user, can write into it.
fn secure_folder(folder: &Path, mode: u32) -> io::Result<Result<(), SocketError>> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let found = fs::symlink_metadata(folder)?;
    let insecure = |reason| Ok(Err(SocketError::InsecureFolder { folder: folder.to_owned(), reason }));
    if !found.is_dir() {
        return insecure("it is a link");
    }
    if found.uid() != own_uid() {
        return insecure("it belongs to another user");
    }
    if found.mode() & 0o022 != 0 {
        return insecure("others may write into it");
    }
    if found.mode() & 0o777 != mode {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))?;
    }
    Ok(Ok(()))
}

/// Two daemons that start at once would otherwise both find the same leftover and replace each other.
fn take_lock(socket: &Path) -> Result<File, SocketError> {
    let failed = |source| SocketError::Io { path: socket.to_owned(), source };
    let path = lock_of(socket);
    loop {
        let lock = open_lock(&path).map_err(failed)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(SocketError::AlreadyServed(socket.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            // Whoever had it removed it meanwhile: it locks nothing any more.
            Ok(()) if !is_at(&lock, &path).map_err(failed)? => {}
            Ok(()) => return Ok(lock),
        }
    }
}

fn lock_of(socket: &Path) -> PathBuf {
    socket.with_extension("lock")
}

/// Whether `file` is still what lies at `path`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The user that this process acts as.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
