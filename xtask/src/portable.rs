//! Whether the verifier is sound for systems that this machine is not.

mod c_compiler;
mod standard_library;

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    console::{say, step},
    invocation,
    portable::{c_compiler::CCompiler, standard_library::StandardLibrary},
    workspace::Workspace,
};

/// The verifier, which is checked with every crate that it needs.
const VERIFIER: &str = "agentkeys-attestation";

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
    Tools::install(workspace)?.check(workspace)?;
    Ok(ExitCode::SUCCESS)
}

/// As [`run`], where the tools can be had; says so where they cannot.
pub(crate) fn check_if_possible(workspace: &Workspace) -> Result<()> {
    match Tools::install(workspace) {
        Ok(tools) => tools.check(workspace),
        Err(why) => {
            say(&format!("   SKIPPED: the verifier for macOS and Windows; because: {why:#}"));
            Ok(())
        }
    }
}

/// What the toolchain of this machine lacks for other systems.
struct Tools {
    library: StandardLibrary,
    compiler: CCompiler,
}

impl Tools {
    fn install(workspace: &Workspace) -> Result<Self> {
        let library = step("standard library for macOS and Windows", || StandardLibrary::install(workspace, &TARGETS))?;
        let compiler = step("zig", || CCompiler::install(workspace, &TARGETS))?;
        Ok(Self { library, compiler })
    }

    fn check(&self, workspace: &Workspace) -> Result<()> {
        let root = self.library.root().display();
        let mut check = workspace.cargo(&["check", "--locked", "--package", VERIFIER]);
        check.env("CARGO_ENCODED_RUSTFLAGS", format!("-Dwarnings\u{1f}--sysroot\u{1f}{root}"));
        // It is never run, so it may be slow.
        for package in ["aws-lc-sys", "secp256k1-sys"] {
            check.arg("--config").arg(format!("profile.dev.package.{package}.opt-level=0"));
        }
        for target in TARGETS {
            check.args(["--target", target.rust]);
            self.compiler.configure(&mut check, target);
        }
        step("the verifier for macOS and Windows", || invocation::run(&mut check))
    }
}
