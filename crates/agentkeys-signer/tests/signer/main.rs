//! The signer through its real routes, with a broker that does what a test tells it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod bench;
mod broker_standing;
mod caller;
mod every_route;
mod signing;
mod signing_log;
