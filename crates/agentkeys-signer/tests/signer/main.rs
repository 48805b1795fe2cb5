//! The signer through its real routes, with a broker that does what a test tells it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod attestation;
mod bench;
mod broker_standing;
mod caller;
mod devices;
mod every_route;
mod purpose;
mod signing;
mod signing_log;
mod worker;
