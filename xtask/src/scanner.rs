use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{
    console::step,
    invocation,
    parts::{Parts, chromium::Chromium, oidc_provider::OidcProvider},
    workspace::Workspace,
};

/// The flags of `cargo xtask scanner`.
#[derive(Args)]
pub(crate) struct Scanner {
    /// How often a page is opened
    #[arg(long, default_value_t = 1000)]
    visits: u32,
}

impl Scanner {
    /// `cargo xtask scanner`: Chromium opens what a mail could lead to, runs it and presses on, for nobody.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        let mut parts = Parts::install_only(vec![Box::new(OidcProvider), Box::new(Chromium)], workspace)?;
        parts.start(workspace);
        let mut scan = workspace.cargo(&["test", "--package", "agentkeys-testing", "--test", "real_parts"]);
        scan.args(["--", "--include-ignored", "--nocapture", "browser::scanner::"]);
        scan.envs(parts.environment()).env("AGENTKEYS_TEST_VISITS", self.visits.to_string());
        step("scanner", || invocation::run(&mut scan))?;
        Ok(ExitCode::SUCCESS)
    }
}
