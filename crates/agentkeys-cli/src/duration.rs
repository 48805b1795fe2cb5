use std::time::Duration;

/// Reads `90`, `90s`, `15m`, `1h 30m` or `30d`.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    const SHAPE: &str = "a duration is written like 90s, 15m, 1h or 30d";
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let span: jiff::Span = text.parse().map_err(|_| SHAPE)?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| SHAPE)?;
    duration.try_into().map_err(|_| SHAPE)
}

/// Writes a duration in its two largest units: `29d 23h`, `14m 59s`.
pub(crate) fn display(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Writes seconds for people: `10 minutes`, `90 seconds`.
pub(crate) fn in_words(seconds: u64) -> String {
    match seconds {
        60 => "1 minute".to_owned(),
        1.. if seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        1 => "1 second".to_owned(),
        _ => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_and_without_a_unit() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("1h 30m", 5400), ("1h", 3600), ("2d", 172_800)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "soon", "-1s", "1 fortnight"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_in_their_two_largest_units() {
        for (seconds, text) in [(5, "5s"), (899, "14m 59s"), (3600, "1h 0m"), (2_588_400, "29d 23h")] {
            assert_eq!(display(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn seconds_are_told_to_people_in_whole_minutes_or_as_they_are() {
        for (seconds, text) in [(600, "10 minutes"), (60, "1 minute"), (90, "90 seconds"), (1, "1 second")] {
            assert_eq!(in_words(seconds), text);
        }
    }
}
