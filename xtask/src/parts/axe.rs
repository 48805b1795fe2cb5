use anyhow::Result;

use super::{Part, Started, npm};
use crate::workspace::Workspace;

const SCRIPT: &str = "axe-core/axe.min.js";

/// npm's axe-core: a script that finds in a page what shuts people out.
pub(crate) struct Axe;

impl Part for Axe {
    fn name(&self) -> &'static str {
        "axe-core"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["browser"]
    }

    fn install(&self, workspace: &Workspace) -> Result<()> {
        npm::install(workspace, SCRIPT)
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        let script = npm::modules(workspace)?.join(SCRIPT).display().to_string();
        Ok(Started { variable: ("AGENTKEYS_TEST_AXE", script), _lifeline: None })
    }
}
