use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::Home;
use crate::{
    load::Latencies,
    report::{line, millis},
};

const RUNS: usize = 100;
/// What the whole process of the command may take.
const AIM: Duration = Duration::from_millis(15);

/// Prints how long AWS programs wait for the command, beside a process that does nothing.
pub(super) async fn report(home: &Home) -> anyhow::Result<()> {
    let commands = {
        let asking = |arguments: &[&str]| {
            let mut command = home.command("agentkeys");
            command.args(arguments);
            command
        };
        let nothing = Command::new("true");
        [asking(&["aws", "credential-process"]), asking(&["--version"]), nothing]
    };
    let [credentials, version, nothing] = tokio::task::spawn_blocking(move || measure(commands)).await??;
    line(&format!(
        "`agentkeys aws credential-process`, credentials at hand: {} ms, p99 {} ms (aim {}); \
         `agentkeys --version` {} and {} ms, `true` {} and {} ms",
        millis(credentials.at(0.5)),
        millis(credentials.at(0.99)),
        AIM.as_millis(),
        millis(version.at(0.5)),
        millis(version.at(0.99)),
        millis(nothing.at(0.5)),
        millis(nothing.at(0.99)),
    ));
    Ok(())
}

/// Runs all in turn.
fn measure<const N: usize>(mut commands: [Command; N]) -> anyhow::Result<[Latencies; N]> {
    let mut latencies = [const { Vec::new() }; N];
    for run in 0..RUNS + RUNS / 10 {
        for (command, latencies) in commands.iter_mut().zip(&mut latencies) {
            let started = Instant::now();
            let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output()?;
            let elapsed = started.elapsed();
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            // The first ones find nothing in the caches of the machine.
            if run >= RUNS / 10 {
                latencies.push(elapsed);
            }
        }
    }
    let latencies: Vec<_> = latencies.into_iter().map(Latencies::new).collect::<anyhow::Result<_>>()?;
    latencies.try_into().map_err(|_| anyhow::anyhow!("one for each"))
}
