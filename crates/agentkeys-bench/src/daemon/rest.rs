use std::time::Duration;

use agentkeys_client::Dispenser;
use agentkeys_types::RoleName;

use super::{AIM_AT_MEMORY, Home, Wish};
use crate::{
    load::Latencies,
    process::Process,
    report::{line, millis},
    system::System,
};

const STARTS: usize = 11;
/// From the start of the process to its first answer.
const AIM_AT_START: Duration = Duration::from_millis(100);
/// As long as the broker holds its answer about a session back, so that one falls into it.
const WINDOW: Duration = Duration::from_secs(30);
/// After it, the connections that the last fetch has left are closed.
const SETTLED: Duration = Duration::from_secs(3);

/// Prints how soon a daemon answers, and what it costs while nobody asks.
pub(super) async fn report(system: &System, home: &Home) -> anyhow::Result<()> {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let started = home.start().await?;
        starts.push(started.after);
        started.process.stop().await?;
    }
    let starts = Latencies::new(starts)?;
    line(&format!(
        "daemon: from its start to its first answer {} ms, {} ms at most (aim {})",
        millis(starts.at(0.5)),
        millis(starts.at(1.0)),
        AIM_AT_START.as_millis(),
    ));

    let active = home.start().await?.process;
    home.client().credentials(&RoleName::default(), None).await?;
    let idle = Home::new(system, Wish::Nothing).await?.start().await?.process;
    let [active_wakes, idle_wakes] = wake_ups([&active, &idle]).await?;
    line(&format!(
        "resident at rest: daemon {} KiB when it has handed out, {} KiB before (aim {AIM_AT_MEMORY})",
        active.resident()?,
        idle.resident()?,
    ));
    line(&format!(
        "wake-ups of a daemon in a minute at rest: {active_wakes} with credentials at hand, where it hears of \
         revocations, {idle_wakes} without (aim 0)"
    ));
    Ok(())
}

/// In a minute, counted in a part of one.
async fn wake_ups<const N: usize>(daemons: [&Process; N]) -> anyhow::Result<[u64; N]> {
    tokio::time::sleep(SETTLED).await;
    let before: Vec<_> = daemons.iter().map(|daemon| daemon.wake_ups()).collect::<anyhow::Result<_>>()?;
    tokio::time::sleep(WINDOW).await;
    let mut wakes = [0; N];
    for ((daemon, before), wakes) in daemons.iter().zip(&before).zip(&mut wakes) {
        *wakes = daemon.wake_ups()?.since(before) * 60 / WINDOW.as_secs();
    }
    Ok(wakes)
}
