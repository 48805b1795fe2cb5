use anyhow::Result;

/// The modes of what an archive holds: a folder, and a file that may or may not be run.
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// An archive as the kernel unpacks it (`newc`), in which nothing says when, where or by whom it was made.
///
/// Entries are packed in the order in which they are added; a file's folders have to be added before it.
#[derive(Default)]
pub(super) struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

impl Cpio {
    /// Adds a folder.
    pub(super) fn folder(&mut self, name: &str) -> Result<()> {
        self.entry(name, FOLDER, &[])
    }

    /// Adds a program.
    pub(super) fn program(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name, PROGRAM, content)
    }

    /// Adds a file.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name, FILE, content)
    }

    /// The archive.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.header("TRAILER!!!", 0, 0, 0)?;
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        Ok(self.bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entries += 1;
        self.header(name, self.entries, mode, content.len())?;
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn header(&mut self, name: &str, inode: u32, mode: u32, size: usize) -> Result<()> {
        let (links, size, name_size) = (1, u32::try_from(size)?, u32::try_from(name.len() + 1)?);
        // Inode, mode, owner, group, links, time, size, device and special device (two each), length of name, checksum.
        let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_what_the_format_says() {
        let mut cpio = Cpio::default();
        cpio.folder("etc").unwrap();
        cpio.file("etc/a", b"hello").unwrap();

        let archive = String::from_utf8(cpio.finish().unwrap()).unwrap();

        let zeros = "00000000";
        let etc = format!(
            "07070100000001000041ED{zeros}{zeros}00000001{zeros}{zeros}{zeros}{zeros}{zeros}{zeros}00000004{zeros}etc\0"
        );
        assert!(archive.starts_with(&format!("{etc:\0<116}070701")), "{archive}");
        assert!(archive.contains("00000005") && archive.contains("etc/a\0hello\0\0\0"), "{archive}");
        assert!(archive.contains("TRAILER!!!"), "{archive}");
        assert_eq!(archive.len() % 512, 0);
    }
}
