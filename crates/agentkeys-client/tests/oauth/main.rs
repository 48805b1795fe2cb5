//! Sign-in in a browser and linking, against a stand-in that answers as the broker does.

#![expect(clippy::unwrap_used, reason = "what a test sets up must succeed")]

mod browser;
mod device;
mod linking;
mod stand_in;
