use std::process::ExitCode;

use anyhow::Result;

use crate::{
    console::step,
    invocation,
    parts::{Parts, axe::Axe, chromium::Chromium, oidc_provider::OidcProvider},
    workspace::Workspace,
};

/// `cargo xtask screenshots`: the pictures in `docs/pages`, from the pages themselves.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut parts = Parts::install_only(vec![Box::new(OidcProvider), Box::new(Axe), Box::new(Chromium)], workspace)?;
    parts.start(workspace);
    let mut looks = workspace.cargo(&["test", "--package", "agentkeys-testing", "--test", "real_parts"]);
    looks.args(["--", "--include-ignored", "browser::looks::"]);
    looks.envs(parts.environment()).env("AGENTKEYS_TEST_SCREENSHOTS", workspace.path("docs/pages"));
    step("screenshots", || invocation::run(&mut looks))?;
    Ok(ExitCode::SUCCESS)
}
