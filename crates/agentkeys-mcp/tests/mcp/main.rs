//! The tools as a client of the protocol sees them, over a daemon that is played.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod bench;
mod connection;
mod presigning;
mod refusals;
mod secrets;
mod tools;
