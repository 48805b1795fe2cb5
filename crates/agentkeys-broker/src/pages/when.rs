use std::net::IpAddr;

use agentkeys_types::Timestamp;

use super::Shown;

/// Who asks to be signed in.
#[derive(Clone, Debug)]
pub struct Asking {
    /// What the machine calls itself.
    pub machine: Option<Shown>,
    /// The address that it asked from.
    pub address: IpAddr,
    /// When it asked.
    pub when: When,
}

impl Asking {
    pub(super) fn address(&self) -> IpAddr {
        self.address.to_canonical()
    }
}

/// A moment as a person compares it: how long ago, and the time of day.
#[derive(Clone, Copy, Debug)]
pub struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    /// The moment `at`, looked at from `now`.
    pub const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// RFC 3339, for programs.
    pub(super) fn exact(self) -> String {
        self.at.to_string()
    }

    pub(super) fn ago(self) -> String {
        let (count, unit) = match self.now.since(self.at).as_secs() {
            0..60 => return "just now".to_owned(),
            seconds @ 60..3600 => (seconds / 60, "minute"),
            seconds @ 3600..86_400 => (seconds / 3600, "hour"),
            seconds => (seconds / 86_400, "day"),
        };
        format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
    }

    pub(super) fn date(self) -> String {
        match jiff::Timestamp::from_second(self.at.as_unix()) {
            Ok(timestamp) => timestamp.strftime("%-d %B %Y, %H:%M UTC").to_string(),
            Err(_) => self.at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_as_people_tell_it() {
        let at: Timestamp = "2026-12-22T10:00:09Z".parse().unwrap();
        let ago = |seconds: i64| When::new(at, Timestamp::from_unix(at.as_unix() + seconds)).ago();

        assert_eq!(When::new(at, at).date(), "22 December 2026, 10:00 UTC");
        assert_eq!(ago(-5), "just now");
        assert_eq!(ago(59), "just now");
        assert_eq!(ago(60), "1 minute ago");
        assert_eq!(ago(599), "9 minutes ago");
        assert_eq!(ago(7200), "2 hours ago");
        assert_eq!(ago(86_400), "1 day ago");
    }
}
