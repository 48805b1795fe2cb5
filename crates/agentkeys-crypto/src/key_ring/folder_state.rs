use std::{collections::BTreeSet, ffi::OsString, fs, io, path::Path, time::SystemTime};

use super::{RingName, previous};
use crate::KeyError;

/// What a folder of keys looks like from outside: equal as long as nothing in it was touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderState {
    files: Vec<Option<Stamp>>,
    previous: BTreeSet<OsString>,
}

/// What changes when a file is replaced, written or made readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    #[cfg(unix)]
    inode_and_mode: (u64, u32),
}

impl FolderState {
    /// Looks at the folder, and reads no key.
    pub fn of(folder: &Path) -> Result<Self, KeyError> {
        let keys = RingName::ALL.iter().flat_map(|name| [name.current_file(folder), name.next_file(folder)]);
        let previous = previous::folder(folder);
        let state = || {
            let files = [folder.to_owned(), previous.clone()].into_iter().chain(keys);
            let files = files.map(|file| Stamp::of(&file)).collect::<io::Result<_>>()?;
            let names = match fs::read_dir(&previous) {
                Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
                Err(error) => return Err(error),
            };
            Ok(Self { files, previous: names })
        };
        state().map_err(|error: io::Error| KeyError::File(folder.display().to_string(), error))
    }
}

impl Stamp {
    fn of(file: &Path) -> io::Result<Option<Self>> {
        let metadata = match fs::metadata(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        Ok(Some(Self {
            modified: metadata.modified()?,
            #[cfg(unix)]
            inode_and_mode: {
                use std::os::unix::fs::MetadataExt;
                (metadata.ino(), metadata.mode())
            },
        }))
    }
}
