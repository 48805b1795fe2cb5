//! What is left of a session token in the memory of the processes that it passed through, as gdb and root see it.

mod core_dump;
mod needles;
mod plant;
mod scan;
mod servers;
mod sts;
mod the_daemon;

use std::time::{Duration, Instant};

use needles::Needles;
use scan::Scan;

use self::core_dump::CoreDump;

/// Scans the process until nothing is found, which must be within `limit`.
async fn wait_until_clean(name: &str, process: u32, needles: &Needles, limit: Duration) {
    let started = Instant::now();
    let first = Scan::memory(process, needles);
    let mut last = first.windows();
    while last != 0 {
        assert!(started.elapsed() < limit, "{name}: {first}");
        // Others are to go on before the next look.
        tokio::task::yield_now().await;
        last = Scan::memory(process, needles).windows();
    }
    say(&format!("{name}: {} windows at first, none after {} ms", first.windows(), started.elapsed().as_millis()));
}

/// Neither the process's memory nor its core, registers included, holds a window of a secret.
fn assert_clean(name: &str, process: u32, needles: &Needles) {
    for scan in [Scan::memory(process, needles), Scan::core(&CoreDump::take(process, &[]), needles)] {
        say(&format!("{name}: {scan}"));
        assert_eq!(scan.windows(), 0, "{name}: {scan}");
    }
}

/// Figures, for `cargo xtask memory-scan` to show.
#[expect(clippy::print_stdout, reason = "the figures are what the scan is for")]
fn say(line: &str) {
    println!("{line}");
}
