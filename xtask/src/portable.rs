//! Whether the verifier is sound for systems that this machine is not.

mod c_compiler;
mod standard_library;

use std::{iter, process::ExitCode};

use anyhow::Result;

use crate::{
    console::step,
    invocation,
    parts::lock,
    portable::{c_compiler::CCompiler, standard_library::StandardLibrary},
    workspace::Workspace,
};

/// The verifier, which is checked with every crate that it needs.
const VERIFIER: &str = "agentkeys-attestation";

/// What it takes, below `target`.
const FOLDER: &str = "portable";

/// The systems.
const TARGETS: [Target; 2] = [
    Target { rust: "aarch64-apple-darwin", zig: "aarch64-macos" },
    Target { rust: "x86_64-pc-windows-gnu", zig: "x86_64-windows-gnu" },
];

/// A system under the names that compilers know it by.
#[derive(Clone, Copy)]
struct Target {
    rust: &'static str,
    zig: &'static str,
}

impl Target {
    /// The variable that tells a build script something for this system alone.
    fn variable(self, name: &str) -> String {
        format!("{name}_{}", self.rust.replace('-', "_"))
    }
}

/// `cargo xtask portable`: the verifier type-checks for macOS and Windows, and the C in it compiles.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let _lock = lock(&workspace.target(FOLDER)?)?;
    let compiler = step("zig", || CCompiler::install(workspace))?;
    let library = step("standard library for macOS and Windows", || StandardLibrary::install(workspace))?;
    let mut check = workspace.cargo(&["check", "--locked", "--package", VERIFIER]);
    let flags: Vec<_> = iter::once("-Dwarnings".to_owned()).chain(library.flags()).collect();
    check.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    // It is never run, so it may be slow.
    for package in ["aws-lc-sys", "secp256k1-sys"] {
        check.arg("--config").arg(format!("profile.dev.package.{package}.opt-level=0"));
    }
    for target in TARGETS {
        check.args(["--target", target.rust]);
        compiler.configure(&mut check, target);
    }
    step("the verifier for macOS and Windows", || invocation::run(&mut check))?;
    Ok(ExitCode::SUCCESS)
}
