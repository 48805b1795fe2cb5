use std::{
    fs::{self, File},
    io::Read,
    path::PathBuf,
};

use anyhow::{Context, Result};

/// As much of a disk as says what file system it has.
const HEAD: usize = 4096;

/// A file system by its kind and the label that an operator gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileSystem {
    Ext4(&'static str),
    Fat(&'static str),
}

impl FileSystem {
    /// The first disk that has it.
    pub(super) fn find(self) -> Result<Option<PathBuf>> {
        let listed = fs::read_dir("/sys/class/block").context("cannot list the disks")?;
        let mut names = listed.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
        names.sort_unstable();
        let paths = names.into_iter().map(|name| PathBuf::from("/dev").join(name));
        Ok(paths.into_iter().find(|path| head_of(path).is_ok_and(|head| self.is_at(&head))))
    }

    /// Whether a disk that starts like this has it.
    fn is_at(self, head: &[u8]) -> bool {
        let field = |at: usize, length: usize| head.get(at..at + length).unwrap_or_default();
        match self {
            Self::Ext4(label) => field(0x438, 2) == [0x53, 0xef] && is_label(field(0x478, 16), label, 0),
            Self::Fat(label) => {
                let fat16 = field(54, 5) == b"FAT16" && is_label(field(43, 11), label, b' ');
                let fat32 = field(82, 5) == b"FAT32" && is_label(field(71, 11), label, b' ');
                fat16 || fat32
            }
        }
    }
}

fn is_label(field: &[u8], label: &str, padding: u8) -> bool {
    field.strip_prefix(label.as_bytes()).is_some_and(|rest| rest.iter().all(|byte| *byte == padding))
}

fn head_of(disk: &PathBuf) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    File::open(disk)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_known_by_its_magic_and_its_whole_label() {
        let mut ext4 = vec![0; HEAD];
        ext4[0x438..0x43a].copy_from_slice(&[0x53, 0xef]);
        ext4[0x478..0x47d].copy_from_slice(b"state");
        let mut fat = vec![0; 512];
        fat[54..62].copy_from_slice(b"FAT16   ");
        fat[43..54].copy_from_slice(b"AGENTKEYS  ");

        assert!(FileSystem::Ext4("state").is_at(&ext4));
        assert!(!FileSystem::Ext4("stat").is_at(&ext4));
        assert!(FileSystem::Fat("AGENTKEYS").is_at(&fat));
        assert!(!FileSystem::Fat("AGENT").is_at(&fat));
        assert!(!FileSystem::Ext4("state").is_at(&fat));
        assert!(!FileSystem::Fat("AGENTKEYS").is_at(&[]));
    }
}
