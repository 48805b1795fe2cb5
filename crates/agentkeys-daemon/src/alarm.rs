use std::{io, time::Duration};

use agentkeys_types::{Clock, SystemClock, Timestamp};

/// Where the system cannot tell that its clock was set, it is looked at this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Waits for moments of the machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Alarm;

impl Alarm {
    /// Returns when `moment` has come, also when the machine slept meanwhile; or earlier, when its clock was set.
    ///
    /// Callers look at the clock again, and wait again where there is time left. On Linux nothing wakes in between;
    /// elsewhere, and where the system gives no timer, it returns after 30 seconds at the latest.
    pub async fn until(moment: Timestamp) {
        let left = moment.since(SystemClock.now());
        if left.is_zero() {
            return;
        }
        if let Err(error) = ring(moment).await {
            tracing::debug!(%error, "there is no timer that follows the clock");
            tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
        }
    }
}

#[cfg(target_os = "linux")]
async fn ring(moment: Timestamp) -> io::Result<()> {
    use rustix::{
        io::Errno,
        time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
        },
    };
    use tokio::io::{Interest, unix::AsyncFd};

    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    let it_value = Timespec { tv_sec: moment.as_unix(), tv_nsec: 0 };
    let due = Itimerspec { it_interval: Timespec::default(), it_value };
    match timerfd_settime(&timer, flags, &due) {
        // It was set since the timer was made.
        Err(Errno::CANCELED) => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    #[expect(
        deprecated,
        reason = "what takes its place is unsafe, for types that could lend another descriptor than their own"
    )]
    let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
    // What is read is how often it rang.
    let read = |timer: &std::os::fd::OwnedFd| Ok(rustix::io::read(timer, &mut [0; 8])?);
    match timer.async_io(Interest::READABLE, read).await {
        Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => Ok(()),
        rang => rang.map(drop),
    }
}

#[cfg(not(target_os = "linux"))]
async fn ring(_: Timestamp) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_moment_that_has_come_is_not_waited_for() {
        let now = SystemClock.now();

        for past in [now, now.before(Duration::from_secs(1)), Timestamp::from_unix(0), Timestamp::from_unix(i64::MIN)] {
            assert_eq!(Alarm::until(past).now_or_never(), Some(()), "{past}");
        }
    }

    #[tokio::test]
    async fn a_moment_to_come_is_waited_for_and_not_longer() {
        let moment = SystemClock.now().after(Duration::from_secs(1));

        Alarm::until(moment).await;

        assert!(SystemClock.now() >= moment);
        assert!(SystemClock.now() <= moment.after(Duration::from_secs(5)));
    }

    #[tokio::test]
    async fn a_moment_in_the_far_future_is_waited_for() {
        for moment in [SystemClock.now().after(Duration::from_hours(1)), Timestamp::from_unix(i64::MAX)] {
            let mut waiting = std::pin::pin!(Alarm::until(moment));

            assert_eq!(futures_util::poll!(&mut waiting), std::task::Poll::Pending);
            // Whatever is ready is seen before anything else runs.
            tokio::task::yield_now().await;
            assert_eq!(futures_util::poll!(&mut waiting), std::task::Poll::Pending);
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn a_moment_is_one_of_the_machine_and_not_of_the_runtime() {
        let moment = SystemClock.now().after(Duration::from_secs(1));

        Alarm::until(moment).await;

        assert!(SystemClock.now() >= moment);
    }
}
