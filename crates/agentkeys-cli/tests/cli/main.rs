//! The `agentkeys` command as a person or a script meets it: as a process.
#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod attestation;
mod aws_configure;
mod backup;
mod bench;
mod commands;
mod dev;
mod doctor;
mod init;
mod logout;
mod mcp;
mod setup;
mod unread_key;
