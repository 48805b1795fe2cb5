use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkeys_types::{OmniAccount, Timestamp};
use quick_cache::sync::Cache;

const MINUTE: Duration = Duration::from_mins(1);
const REMEMBERED_ACCOUNTS: usize = 16_384;

/// Who did something too often: how long it is until once more is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOften(pub(crate) Duration);

/// How often something happened in each account's minute, which begins with the first time.
#[derive(Debug)]
pub(crate) struct Minutes {
    most: u32,
    accounts: Cache<OmniAccount, Arc<Mutex<Minute>>>,
}

#[derive(Clone, Copy, Debug)]
struct Minute {
    since: Timestamp,
    count: u32,
}

impl Minutes {
    /// At most `most` times a minute.
    pub(crate) fn new(most: u32) -> Self {
        Self { most, accounts: Cache::new(REMEMBERED_ACCOUNTS) }
    }

    /// Counts once more, unless that is too often.
    pub(crate) fn count(&self, account: &OmniAccount, now: Timestamp) -> Result<(), TooOften> {
        let begin = || Ok::<_, std::convert::Infallible>(Arc::new(Mutex::new(Minute { since: now, count: 0 })));
        let Ok(minute) = self.accounts.get_or_insert_with(account, begin);
        let mut minute = minute.lock().unwrap_or_else(PoisonError::into_inner);
        let end = minute.since.after(MINUTE);
        // A clock that was set back is no reason to wait.
        if now < minute.since || now >= end {
            *minute = Minute { since: now, count: 0 };
        }
        if minute.count >= self.most {
            return Err(TooOften(end.since(now)));
        }
        minute.count += 1;
        Ok(())
    }
}

/// When something happened lately: not more often than is to be known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lately(VecDeque<Timestamp>);

impl Lately {
    /// Notes that it happened, of which the last `most` times are kept.
    pub(crate) fn note(&mut self, time: Timestamp, most: usize) {
        self.0.push_back(time);
        if self.0.len() > most {
            self.0.pop_front();
        }
    }

    /// Whether it may happen once more, where it may `most` times in `period`.
    pub(crate) fn check(&self, now: Timestamp, most: usize, period: Duration) -> Result<(), TooOften> {
        let within = || self.0.iter().filter(|time| **time <= now && now < time.after(period));
        let oldest = within().min().filter(|_| within().count() >= most);
        oldest.map_or(Ok(()), |oldest| Err(TooOften(oldest.after(period).since(now))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_account_has_a_minute_of_its_own_which_ends() {
        let (minutes, ada, grace) =
            (Minutes::new(2), OmniAccount::from_bytes([1; 32]), OmniAccount::from_bytes([2; 32]));

        assert_eq!(minutes.count(&ada, START), Ok(()));
        assert_eq!(minutes.count(&ada, START.after(seconds(10))), Ok(()));
        assert_eq!(minutes.count(&ada, START.after(seconds(11))), Err(TooOften(seconds(49))));
        assert_eq!(minutes.count(&grace, START.after(seconds(11))), Ok(()));
        assert_eq!(minutes.count(&ada, START.after(seconds(59))), Err(TooOften(seconds(1))));
        assert_eq!(minutes.count(&ada, START.after(seconds(60))), Ok(()));
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let (minutes, ada) = (Minutes::new(1), OmniAccount::from_bytes([1; 32]));
        let mut lately = Lately::default();
        minutes.count(&ada, START).unwrap();
        lately.note(START, 1);

        assert_eq!(minutes.count(&ada, START.before(seconds(3600))), Ok(()));
        assert_eq!(lately.check(START.before(seconds(1)), 1, seconds(60)), Ok(()));
    }

    #[test]
    fn what_happened_lately_is_counted_at_any_moment() {
        let mut lately = Lately::default();
        for second in [0, 10, 20, 30] {
            lately.note(START.after(seconds(second)), 3);
        }

        let check = |second| lately.check(START.after(seconds(second)), 3, seconds(60));
        assert_eq!(check(30), Err(TooOften(seconds(40))));
        assert_eq!(check(69), Err(TooOften(seconds(1))));
        assert_eq!(check(70), Ok(()));
    }
}
