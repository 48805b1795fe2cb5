use agentkeys_api::paths;
use agentkeys_client::Exit;
use agentkeys_types::Timestamp;

use super::finding::Finding;
use crate::context::Context;

const NAME: &str = "clock";
/// More is worth a word.
const NOTED: u64 = 5;
/// More, and tokens that are fresh here are not yet valid there.
const TOLERATED: u64 = 60;

/// This machine's clock against the broker's.
pub(super) async fn check(context: &Context) -> Finding {
    match context.broker().look(paths::HEALTHZ).await {
        Ok(answer) => judge(context.clock.now(), answer.date.as_deref()),
        Err(error) => Finding::of_server_error(NAME, error, context),
    }
}

fn judge(now: Timestamp, date: Option<&str>) -> Finding {
    // RFC 9110 section 5.6.7: the form of a date in HTTP is one of those in mails.
    let there = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let Some(there) = there else { return Finding::skipped(NAME, "the broker does not say what time it is") };
    let (here, there) = (now.as_unix(), there.timestamp().as_second());
    let off = here.abs_diff(there);
    let direction = if here > there { "ahead of" } else { "behind" };
    let message = format!("{off} s {direction} the broker's");
    let hint = "set the clock: `timedatectl set-ntp true`";
    match off {
        0..=1 => Finding::ok(NAME, "agrees with the broker's"),
        2..=NOTED => Finding::ok(NAME, message),
        _ if off <= TOLERATED => Finding::warning(NAME, message, hint),
        _ => Finding::failure(NAME, Exit::Other, message, hint),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Status, *};

    #[test]
    fn five_seconds_are_noted_and_a_minute_is_tolerated() {
        // The example of RFC 9110 section 5.6.7.
        let (date, then) = ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777);
        for (off, status) in [
            (0, Status::Ok),
            (5, Status::Ok),
            (-5, Status::Ok),
            (6, Status::Warning),
            (-60, Status::Warning),
            (61, Status::Failure),
            (-3600, Status::Failure),
        ] {
            let finding = judge(Timestamp::from_unix(then + off), Some(date));

            assert_eq!(finding.status(), status, "{off}: {}", finding.text());
        }
    }

    #[test]
    fn without_a_readable_date_nothing_is_said() {
        for date in [None, Some(""), Some("yesterday")] {
            assert_eq!(judge(Timestamp::from_unix(0), date).status(), Status::Skipped);
        }
    }
}
