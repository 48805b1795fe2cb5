//! The relying party, against a provider that behaves and one that does not.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

mod bench;
mod hostile_answers;
mod hostile_tokens;
mod signing_in;
mod traffic;
