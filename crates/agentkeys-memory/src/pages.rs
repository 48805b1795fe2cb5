use std::{
    ffi::c_void,
    io,
    ptr::{self, NonNull},
    slice,
};

#[cfg(target_os = "linux")]
use rustix::mm::{Advice, madvise};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mlock, mmap_anonymous, mprotect, munmap};

use crate::allocator::wipe;

/// Pages that hold one secret and nothing else; read-only once filled, wiped before they are given back.
pub(crate) struct Pages {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the pages belong to this value alone, and are only read while it is shared.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// Memory that the kernel itself has no map of: nothing but this process's own code reads it.
    #[cfg(target_os = "linux")]
    pub(crate) fn secret(bytes: &[u8]) -> io::Result<Self> {
        let file = memfd_secret()?;
        rustix::fs::ftruncate(&file, bytes.len() as u64)?;
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at a place of the kernel's choice, of a file that nobody else has.
        let start = unsafe { rustix::mm::mmap(ptr::null_mut(), bytes.len(), access, flags, &file, 0) }?;
        let pages = Self::new(start, bytes.len())?;
        // A shared mapping cannot be wiped in a child, so the child has none.
        pages.advise(Advice::LinuxDontFork)?;
        pages.fill(bytes)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn secret(_: &[u8]) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Memory that is never swapped out, and where the kernel can, neither dumped nor inherited.
    pub(crate) fn locked(bytes: &[u8]) -> io::Result<Self> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping at a place of the kernel's choice.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes.len(), access, flags) }?;
        let pages = Self::new(start, bytes.len())?;
        // SAFETY: the pages are this value's own; locking changes nothing that is in them.
        unsafe { mlock(pages.address(), pages.length) }?;
        #[cfg(target_os = "linux")]
        for advice in [Advice::LinuxDontDump, Advice::LinuxWipeOnFork] {
            pages.advise(advice)?;
        }
        pages.fill(bytes)
    }

    /// What was put in.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the pages are mapped for as long as this value lives, at least `length` bytes of them, and
        // nobody writes while they are borrowed.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    fn new(start: *mut c_void, length: usize) -> io::Result<Self> {
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    fn fill(self, bytes: &[u8]) -> io::Result<Self> {
        // SAFETY: the pages are writable, as long as `bytes`, and newer than it, so the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr(), self.length) };
        // SAFETY: the pages are this value's own, and are only read from here on.
        unsafe { mprotect(self.address(), self.length, MprotectFlags::READ) }?;
        Ok(self)
    }

    #[cfg(target_os = "linux")]
    fn advise(&self, advice: Advice) -> io::Result<()> {
        // SAFETY: the pages are this value's own, and the advice that is given here keeps what is in them.
        Ok(unsafe { madvise(self.address(), self.length, advice) }?)
    }

    fn address(&self) -> *mut c_void {
        self.start.as_ptr().cast()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let writable = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the pages are this value's own, and no borrow of them is left.
        let opened = unsafe { mprotect(self.address(), self.length, writable) };
        // It fails in a forked child, which has no such pages.
        if opened.is_ok() {
            // SAFETY: the pages are writable now, and this is the end of them.
            unsafe { wipe(self.start.as_ptr(), self.length) };
        }
        // SAFETY: as above; where there are no pages, nothing is unmapped.
        let _ = unsafe { munmap(self.address(), self.length) };
    }
}

#[cfg(target_os = "linux")]
fn memfd_secret() -> io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::{FromRawFd, RawFd};

    // SAFETY: the call takes flags only.
    let opened = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    match RawFd::try_from(opened) {
        // SAFETY: the kernel has just given this descriptor to this function.
        Ok(file @ 0..) => Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(file) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{fs, os::unix::fs::FileExt};

    use super::*;

    const BYTES: &[u8] = b"aks_what-nobody-else-may-read";

    /// What the kernel says of the mapping: `VmFlags` of `/proc/self/smaps`.
    fn flags_of(pages: &Pages) -> Vec<String> {
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", pages.start.as_ptr() as usize);
        let mut from = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let flags = from.find_map(|line| line.strip_prefix("VmFlags:")).unwrap();
        flags.split_whitespace().map(str::to_owned).collect()
    }

    fn read_as_others_do(pages: &Pages) -> io::Result<Vec<u8>> {
        let mut found = vec![0; pages.length];
        fs::File::open("/proc/self/mem")?.read_exact_at(&mut found, pages.start.as_ptr() as u64)?;
        Ok(found)
    }

    #[test]
    fn secret_memory_is_read_by_its_owner_and_by_nobody_else() {
        // Not every kernel has it.
        let Ok(pages) = Pages::secret(BYTES) else { return };

        assert_eq!(pages.bytes(), BYTES);
        assert!(read_as_others_do(&pages).is_err());
        let flags = flags_of(&pages);
        assert!(["dc", "dd", "lo"].iter().all(|flag| flags.iter().any(|set| set == flag)), "{flags:?}");
        assert!(!flags.iter().any(|set| set == "wr"), "{flags:?}");
    }

    #[test]
    fn locked_pages_are_neither_swapped_nor_dumped_nor_inherited() {
        let pages = Pages::locked(BYTES).unwrap();

        assert_eq!(pages.bytes(), BYTES);
        assert_eq!(read_as_others_do(&pages).unwrap(), BYTES);
        let flags = flags_of(&pages);
        assert!(["lo", "dd", "wf"].iter().all(|flag| flags.iter().any(|set| set == flag)), "{flags:?}");
        assert!(!flags.iter().any(|set| set == "wr"), "{flags:?}");
    }
}
