//! The main job, from a sign-in to AWS credentials, by the real binaries on free ports.
//!
//! They must have been built: `cargo build --workspace --bins`.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod dev;
mod machine;
mod revocation;
mod servers;
mod stores;
