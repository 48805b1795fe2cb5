use std::time::Duration;

use agentkeys_types::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::Limit;

/// Counts once against each limit. Where one is over, returns how long until the last of those opens again,
/// and the caller must take back what was counted against the others.
pub(super) fn count(connection: &Connection, limits: &[Limit], now: Timestamp) -> rusqlite::Result<Option<Duration>> {
    let mut longest = None;
    for limit in limits {
        longest = longest.max(count_one(connection, limit, now)?);
    }
    Ok(longest)
}

fn count_one(connection: &Connection, limit: &Limit, now: Timestamp) -> rusqlite::Result<Option<Duration>> {
    if limit.most == 0 {
        return Ok(Some(limit.window));
    }
    let counted = connection
        .prepare_cached(
            "INSERT INTO limits (key, closes_at, count) VALUES (?1, ?3, 1) \
             ON CONFLICT (key) DO UPDATE SET \
                 closes_at = CASE WHEN limits.closes_at <= ?2 THEN excluded.closes_at ELSE limits.closes_at END, \
                 count = CASE WHEN limits.closes_at <= ?2 THEN 1 ELSE limits.count + 1 END \
             WHERE limits.count < ?4 OR limits.closes_at <= ?2",
        )?
        .execute(params![limit.key, now.as_unix(), now.after(limit.window).as_unix(), limit.most])?;
    if counted == 1 {
        return Ok(None);
    }
    let closes_at: Option<i64> = connection
        .prepare_cached("SELECT closes_at FROM limits WHERE key = ?1")?
        .query_row([&limit.key], |row| row.get(0))
        .optional()?;
    let left = closes_at.map_or(limit.window, |closes_at| Timestamp::from_unix(closes_at).since(now));
    Ok(Some(left.max(Duration::from_secs(1))))
}
