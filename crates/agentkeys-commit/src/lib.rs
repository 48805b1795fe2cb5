//! Durable writes in groups that share one sync.
//!
//! Syncing is the dear part of a durable write, and costs the same for one as for many. A thread that writes
//! takes what waits from [`Groups`], writes and syncs it in one go, and only then answers everybody.

use std::{thread, time::Duration};

use tokio::sync::mpsc;

/// From this many in a group on, callers come as a crowd.
const CROWD: usize = 4;

/// For how long a writer waits for the rest of a crowd.
///
/// A crowd that has just been answered comes back within about a millisecond; a sync that did not wait for it
/// would be paid for by a few, and the next one by the rest. Callers that come alone never wait.
const GATHERING: Duration = Duration::from_millis(1);

/// What waits to be written, group by group.
#[derive(Debug)]
pub struct Groups<T> {
    waiting: mpsc::Receiver<T>,
    largest: usize,
    last: usize,
}

impl<T> Groups<T> {
    /// Takes what comes in, up to `largest` at a time.
    pub fn new(waiting: mpsc::Receiver<T>, largest: usize) -> Self {
        Self { waiting, largest, last: 0 }
    }

    /// Blocks until something waits, and fills the empty `group` with it; `false` when nothing can come any more.
    pub fn next(&mut self, group: &mut Vec<T>) -> bool {
        if self.waiting.blocking_recv_many(group, self.largest) == 0 {
            return false;
        }
        if self.last >= CROWD && group.len() < self.largest {
            // Asleep, not on the channel: there every arrival would wake this thread.
            thread::sleep(GATHERING);
            while group.len() < self.largest {
                let Ok(late) = self.waiting.try_recv() else { break };
                group.push(late);
            }
        }
        self.last = group.len();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups_of(waiting: usize, largest: usize) -> Vec<usize> {
        let (sender, receiver) = mpsc::channel(1024);
        (0..waiting).for_each(|job| sender.try_send(job).unwrap());
        drop(sender);
        let (mut groups, mut group, mut sizes, mut next) = (Groups::new(receiver, largest), Vec::new(), Vec::new(), 0);
        while groups.next(&mut group) {
            sizes.push(group.len());
            for job in group.drain(..) {
                assert_eq!(job, next);
                next += 1;
            }
        }
        assert_eq!(next, waiting);
        sizes
    }

    #[test]
    fn everything_that_waits_shares_a_group_in_order_up_to_the_largest() {
        assert_eq!(groups_of(10, 256), [10]);
        assert_eq!(groups_of(10, 4), [4, 4, 2]);
        assert_eq!(groups_of(0, 4), [0; 0]);
    }

    #[test]
    fn who_comes_while_a_crowd_gathers_is_in_its_group() {
        let (sender, receiver) = mpsc::channel(1024);
        let mut groups = Groups::new(receiver, 256);
        let mut group = Vec::new();
        (0..CROWD).for_each(|job| sender.try_send(job).unwrap());
        assert!(groups.next(&mut group));
        group.clear();

        sender.try_send(0).unwrap();
        let late = thread::spawn(move || sender.try_send(1));
        assert!(groups.next(&mut group));
        late.join().unwrap().unwrap();
        let mut rest = Vec::new();
        let more = groups.next(&mut rest);

        assert_eq!(group.len() + rest.len(), 2);
        assert_eq!(more, !rest.is_empty());
    }
}
