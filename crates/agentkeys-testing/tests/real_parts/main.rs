//! Held against what others made: the AWS CLI and SDKs, boto3, Ceph, Chromium, gdb, maildev,
//! MCP's client, oidc-provider, QEMU, swtpm, and independent implementations.
//!
//! A test that needs a real part is ignored; `cargo xtask test` gets the parts, starts them, says where they
//! are, and runs these tests too. The binaries must have been built: `cargo build --workspace --bins`.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod aws_cli;
mod boto3;
mod browser;
mod ceph;
mod clouds;
mod conformance;
mod doors;
mod jwcrypto;
mod keychain;
mod maildev;
mod mcp;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod memory;
mod parts;
mod public_vectors;
mod sdks;
mod systemd;
#[cfg(target_os = "linux")]
mod tpm;
mod vectors;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod vm;
#[cfg(target_os = "linux")]
mod with_worker;
#[cfg(target_os = "linux")]
mod worker;
