use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

/// How long sessions stand.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// For how many days a token of a session that is bound to a device key counts.
    pub days: u16,
    /// After how many days a person must sign in again, however often the token was renewed.
    pub absolute_days: u16,
    /// For how many hours a session without a device key stands; 0 refuses to open one.
    pub unbound_hours: u16,
}

impl Sessions {
    pub(super) fn check(self) -> Result<(), ConfigError> {
        if !(1..=30).contains(&self.days) {
            return Err(ConfigError::Value("`sessions.days` must be 1 to 30"));
        }
        if self.absolute_days < self.days || self.absolute_days > 365 {
            return Err(ConfigError::Value(
                "`sessions.absolute_days` must be at least `sessions.days`, and at most 365",
            ));
        }
        if self.unbound_hours > 24 {
            return Err(ConfigError::Value(
                "`sessions.unbound_hours` must be at most 24: whoever has the token of such a session is the person",
            ));
        }
        Ok(())
    }

    /// For how long a token counts, by whether it is bound to a device key.
    pub(crate) fn life(self, is_bound: bool) -> Duration {
        let hours = if is_bound { u64::from(self.days) * 24 } else { self.unbound_hours.into() };
        Duration::from_hours(hours)
    }

    /// How long renewals can make it.
    pub(crate) fn absolute_life(self) -> Duration {
        Duration::from_hours(u64::from(self.absolute_days) * 24)
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self { days: 30, absolute_days: 180, unbound_hours: 8 }
    }
}
