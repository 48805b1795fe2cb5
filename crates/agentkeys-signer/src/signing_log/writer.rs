use std::io;

use agentkeys_commit::Groups;
use tokio::sync::{mpsc, oneshot};

use super::{
    Line, Verified,
    chain::{self, Head},
    disk::Disk,
};
use crate::record::LogUnavailable;

/// The most entries that one write and one sync carry.
const LARGEST_GROUP: usize = 1024;

/// A line, and whoever waits for it.
pub(super) struct Waiting {
    pub(super) line: Line,
    pub(super) done: oneshot::Sender<Result<(), LogUnavailable>>,
}

/// The one place that writes the log.
pub(super) struct Writer<D> {
    disk: D,
    head: Head,
    /// How far the file holds entries that are on the medium.
    length: u64,
    /// Whether nothing stands behind them.
    clean: bool,
    lines: Vec<u8>,
}

impl<D: Disk> Writer<D> {
    /// Goes on where `verified` ends, and cuts off a torn line.
    pub(super) fn new(disk: D, verified: &Verified) -> io::Result<Self> {
        let Verified { head, length, torn, .. } = *verified;
        let mut writer = Self { disk, head, length, clean: torn == 0, lines: Vec::new() };
        writer.mend()?;
        Ok(writer)
    }

    /// Writes entries until nobody can send any more.
    pub(super) fn run(&mut self, entries: mpsc::Receiver<Waiting>) {
        let mut groups = Groups::new(entries, LARGEST_GROUP);
        let mut group = Vec::new();
        while groups.next(&mut group) {
            let written = self.append(group.iter().map(|waiting| &waiting.line)).map_err(|error| {
                tracing::error!(%error, "the signing log could not be written");
                LogUnavailable
            });
            for waiting in group.drain(..) {
                // Who no longer waits does not act either.
                let _ = waiting.done.send(written);
            }
        }
    }

    /// Appends the lines, all of them or none.
    fn append<'l>(&mut self, lines: impl Iterator<Item = &'l Line>) -> io::Result<()> {
        self.mend()?;
        self.lines.clear();
        let mut head = self.head;
        for line in lines {
            head = chain::write(head, line, &mut self.lines)?;
        }
        self.clean = false;
        if let Err(error) = self.disk.append(&self.lines).and_then(|()| self.disk.sync()) {
            // Tried again before the next entry, should it not work now.
            let _ = self.mend();
            return Err(error);
        }
        self.clean = true;
        self.head = head;
        self.length += self.lines.len() as u64;
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        if !self.clean {
            self.disk.truncate(self.length)?;
            self.disk.sync()?;
            self.clean = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{
        SigningRecord,
        signing_log::{SigningLog, entry::tests::entry},
    };

    /// A disk that fails when told to, and keeps half of what it failed to write.
    #[derive(Clone, Default)]
    struct FakeDisk(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        bytes: Vec<u8>,
        full: bool,
        unsyncable: bool,
        untruncatable: bool,
    }

    impl Disk for FakeDisk {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let mut state = self.0.lock().unwrap();
            let written = if state.full { bytes.len() / 2 } else { bytes.len() };
            state.bytes.extend_from_slice(&bytes[..written]);
            if state.full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.0.lock().unwrap().unsyncable { Err(io::Error::other("EIO")) } else { Ok(()) }
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            let mut state = self.0.lock().unwrap();
            if state.untruncatable {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            state.bytes.truncate(usize::try_from(length).unwrap());
            Ok(())
        }
    }

    impl FakeDisk {
        fn set(&self, change: impl FnOnce(&mut State)) {
            change(&mut self.0.lock().unwrap());
        }

        fn entries(&self) -> u64 {
            let verified = chain::check(self.0.lock().unwrap().bytes.as_slice()).unwrap();
            assert_eq!(verified.torn, 0);
            verified.entries
        }
    }

    fn log_on(disk: &FakeDisk) -> SigningLog {
        SigningLog::start(Writer::new(disk.clone(), &Verified::default()).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_full_disk_refuses_and_recovers_without_a_restart() {
        let disk = FakeDisk::default();
        let log = log_on(&disk);
        log.append(entry(1)).await.unwrap();

        disk.set(|state| state.full = true);
        let refused = log.append(entry(2)).await;
        let while_full = disk.entries();
        disk.set(|state| state.full = false);
        log.append(entry(3)).await.unwrap();

        assert_eq!(refused, Err(LogUnavailable));
        assert_eq!((while_full, disk.entries()), (1, 2));
    }

    #[tokio::test]
    async fn what_could_not_be_synced_is_not_in_the_log() {
        let disk = FakeDisk::default();
        let log = log_on(&disk);

        disk.set(|state| state.unsyncable = true);
        let refused = log.append(entry(1)).await;
        disk.set(|state| state.unsyncable = false);
        log.append(entry(2)).await.unwrap();

        assert_eq!(refused, Err(LogUnavailable));
        assert_eq!(disk.entries(), 1);
    }

    #[tokio::test]
    async fn nothing_is_written_behind_a_torn_line_that_cannot_be_cut_off() {
        let disk = FakeDisk::default();
        let log = log_on(&disk);
        disk.set(|state| (state.full, state.untruncatable) = (true, true));
        log.append(entry(1)).await.unwrap_err();

        disk.set(|state| state.full = false);
        let refused = log.append(entry(2)).await;
        disk.set(|state| state.untruncatable = false);
        log.append(entry(3)).await.unwrap();

        assert_eq!(refused, Err(LogUnavailable));
        assert_eq!(disk.entries(), 1);
    }
}
