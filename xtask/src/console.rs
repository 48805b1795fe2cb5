use std::{
    io::{Write, stderr},
    time::Instant,
};

use anyhow::{Context, Result};

/// Writes a line for the person at the terminal.
pub(crate) fn say(line: &str) {
    // With nobody left to read it, there is nobody to tell either.
    let _ = writeln!(stderr(), "{line}");
}

/// Runs one named piece of work and says how long it took; a failure carries the name.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    say(&format!("── {name}"));
    let started = Instant::now();
    let done = work().with_context(|| format!("`{name}` failed"))?;
    say(&format!("   {name}: ok, {:.1} s", started.elapsed().as_secs_f64()));
    Ok(done)
}
