use std::{
    path::{PathBuf, absolute},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    check,
    console::say,
    e2e,
    invocation::by_hand,
    parts::{Missing, Parts, swtpm::Swtpm, vectors},
    runner::Runner,
    workspace::Workspace,
};

/// The flags of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Test {
    /// Fail when a real part cannot be had, instead of leaving its tests out
    #[arg(long, env = "CI")]
    require_parts: bool,

    /// The folder of the vectors that others published
    #[arg(long, env = "AGENTKEYS_VECTORS", value_name = "FOLDER")]
    vectors: Option<PathBuf>,
}

impl Test {
    /// `cargo xtask test`: gets and starts the real parts, checks, then runs every test once.
    ///
    /// The runner's own summary is the last thing on the screen, so nothing is said after it.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        let mut parts = Parts::install(workspace)?;
        self.accept(parts.missing())?;
        check::guards(workspace)?;
        vectors::check(workspace, &parts)?;
        parts.start(workspace);
        self.accept(parts.missing())?;
        if parts.has_started(&Swtpm) {
            e2e::with_worker(workspace, &parts)?;
            workspace.build()?;
        }

        let mut tests = Runner::installed(workspace).everything(workspace, &parts.left_out());
        tests.envs(parts.environment());
        match &self.vectors {
            // Tests run in the folder of their crate.
            Some(folder) => drop(tests.env("AGENTKEYS_VECTORS", absolute(folder)?)),
            None => say("   SKIPPED: real_parts public_vectors; because: AGENTKEYS_VECTORS names no folder of them"),
        }
        say(&format!("── tests: {}", by_hand(&tests)));
        let status = tests.status().context("cannot start the tests")?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn accept(&self, missing: &[Missing]) -> Result<()> {
        for part in missing {
            say(&format!("   {part}"));
        }
        if self.require_parts && !missing.is_empty() {
            bail!("a real part is missing, and this run must not leave tests out");
        }
        Ok(())
    }
}
