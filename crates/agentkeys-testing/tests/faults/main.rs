//! What is left after the worst: the real binaries, killed, on a full disk, and searched for secrets.
//!
//! They must have been built: `cargo build --workspace --bins`. Nothing here waits for time to pass, only for
//! log lines and answers. Every checker is shown a planted fault that it must find.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod bench;
mod client;
mod conformance;
mod daemon;
#[cfg(target_os = "linux")]
mod disk_full;
mod kill;
mod leaks;
#[cfg(target_os = "linux")]
mod nitro;
mod races;
mod revocation;
mod rotation;
#[cfg(target_os = "linux")]
mod small_disk;
mod smtp_relay;
