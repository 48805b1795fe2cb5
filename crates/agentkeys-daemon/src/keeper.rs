use std::time::Duration;

use crate::{Alarm, Desk};

/// The shortest pause between two looks, whatever is due.
const PAUSE: Duration = Duration::from_secs(1);

/// Renews what the desk keeps when it is time to, and sleeps in between: no timer runs while nothing will be due.
///
/// Waits for moments of the wall clock, so that a machine that has slept, or whose clock was set, is up to date at once.
pub(crate) async fn keep(desk: &Desk) {
    loop {
        let due = desk.shelf.refresh_due().await;
        let next = async {
            match due {
                Some(due) => Alarm::until(due.max(desk.clock().now().after(PAUSE))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = next => {}
            () = desk.shelf.changed.notified() => {}
        }
    }
}
