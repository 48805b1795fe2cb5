//! The project's own chores, as `cargo xtask COMMAND`.
//!
//! [`check`] is what needs nothing but the toolchain; [`mod@test`] adds the real [`parts`] and is what CI runs.

mod bench;
mod check;
mod console;
mod docs;
mod e2e;
mod image;
mod invocation;
mod memory_scan;
mod parts;
mod portable;
mod races;
mod repository;
mod revocation;
mod rotation;
mod runner;
mod scanner;
mod screenshots;
mod signer_conformance;
mod test;
mod timing;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::workspace::Workspace;

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Xtask {
    /// Rates, latencies and memory of the real servers and the daemon against the bound of each request
    Bench,
    /// Format, lints, documents, dependencies and every test that needs no real part
    Check,
    /// Regenerate docs/reference
    Docs(docs::Docs),
    /// The real binaries, end to end
    E2e(e2e::E2e),
    /// The worker as one measured file: kernel, initramfs and static binary, with what a TPM will show of it
    Image(image::Image),
    /// What is left of tokens in the memory and the cores of the real binaries, and in their registers
    MemoryScan(memory_scan::MemoryScan),
    /// Whether the verifier is sound for macOS and Windows: its Rust type-checks, its C compiles
    Portable,
    /// 64 requests at once, 1,000 times, at three brokers, for each thing that may be had once or a few times
    Races(races::Races),
    /// 5,000 sessions revoked while in use, a crash and a restore: nothing accepts them
    Revocation(revocation::Revocation),
    /// Signing keys that change every 5 s for 10 min, under load: nobody may notice
    Rotation(rotation::Rotation),
    /// Chromium opens what a mail could lead to, 1,000 times, and presses what is there: 0 sessions
    Scanner(scanner::Scanner),
    /// Take the pictures in docs/pages again
    Screenshots,
    /// Hold the development signer and the TEE worker against the signer's contract
    SignerConformance,
    /// Get and start the real parts, then `check`, then every test
    Test(test::Test),
    /// Whether time tells secrets apart: token and code checks, in pairs
    Timing(timing::Timing),
}

fn main() -> ExitCode {
    let done = Workspace::find().and_then(|workspace| match Xtask::parse() {
        Xtask::Bench => bench::run(&workspace),
        Xtask::Check => check::run(&workspace),
        Xtask::Docs(docs) => docs.run(&workspace),
        Xtask::E2e(e2e) => e2e.run(&workspace),
        Xtask::Image(image) => image.run(&workspace),
        Xtask::MemoryScan(scan) => scan.run(&workspace),
        Xtask::Portable => portable::run(&workspace),
        Xtask::Races(races) => races.run(&workspace),
        Xtask::Revocation(revocation) => revocation.run(&workspace),
        Xtask::Rotation(rotation) => rotation.run(&workspace),
        Xtask::Scanner(scanner) => scanner.run(&workspace),
        Xtask::Screenshots => screenshots::run(&workspace),
        Xtask::SignerConformance => signer_conformance::run(&workspace),
        Xtask::Test(test) => test.run(&workspace),
        Xtask::Timing(timing) => timing.run(&workspace),
    });
    done.unwrap_or_else(|error| {
        console::say(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}
