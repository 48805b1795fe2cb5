use std::io;

/// Keeps every descriptor above stderr from the programs that this process starts, also those that it was started with
/// itself.
#[cfg(unix)]
pub fn keep_descriptors_apart() -> io::Result<()> {
    use std::os::fd::{BorrowedFd, RawFd};

    use rustix::io::{Errno, FdFlags, fcntl_setfd};

    let mut open: Vec<RawFd> = Vec::new();
    for entry in std::fs::read_dir("/dev/fd")? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    for number in open.into_iter().filter(|number| *number > 2) {
        // SAFETY: it is borrowed for one call that neither reads nor closes it, and that fails where nothing is open
        // under this number any more. The flag is one that everything this process opens itself has already.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        match fcntl_setfd(descriptor, FdFlags::CLOEXEC) {
            Ok(()) | Err(Errno::BADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Keeps every descriptor above stderr from the programs that this process starts.
#[cfg(not(unix))]
pub fn keep_descriptors_apart() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs::File, process::Command};

    use rustix::io::{FdFlags, fcntl_setfd};

    use super::*;

    #[test]
    fn a_program_finds_nothing_open_above_stderr() {
        let inherited = File::open("/dev/null").unwrap();
        fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
        let listed = || String::from_utf8(Command::new("ls").arg("/dev/fd/").output().unwrap().stdout).unwrap();
        let before = listed();

        keep_descriptors_apart().unwrap();

        // One more is the listed folder itself.
        assert_eq!(listed().lines().count(), 4);
        assert!(before.lines().count() > 4);
    }
}
