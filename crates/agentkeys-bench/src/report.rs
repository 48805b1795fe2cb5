use std::time::Duration;

use crate::load::Measured;

/// The only part that prints.
#[expect(clippy::print_stdout, reason = "the table is the result")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// A rate against its bound.
pub(crate) fn against_bound(name: &str, measured: &Measured, bound: Duration, aim: f64) {
    let ratio = bound.as_secs_f64() / measured.cpu_each().as_secs_f64();
    line(&format!(
        "| {name} | {:.0} | {:.0} | {:.1} | {:.1} | {ratio:.2} (aim {aim}) | {} | {} |",
        measured.per_cpu_second(),
        measured.per_second(),
        micros(measured.cpu_each()),
        micros(bound),
        millis(measured.latency(0.5)),
        millis(measured.latency(0.99)),
    ));
}

/// A rate that is only reported.
pub(crate) fn reported(name: &str, measured: &Measured) {
    line(&format!(
        "| {name} | {:.0} | {:.0} | {:.1} | | | {} | {} |",
        measured.per_cpu_second(),
        measured.per_second(),
        micros(measured.cpu_each()),
        millis(measured.latency(0.5)),
        millis(measured.latency(0.99)),
    ));
}

/// The head of the table of rates.
pub(crate) fn head() {
    line("| request | per CPU-second | per second | CPU µs | bound µs | of its bound | p50 ms | p99 ms |");
    line("|---|---|---|---|---|---|---|---|");
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}
