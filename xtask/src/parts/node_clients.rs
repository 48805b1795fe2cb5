use anyhow::Result;

use super::{Part, Started, npm};
use crate::workspace::Workspace;

/// npm's clients: the AWS SDK for JavaScript, and that of the Model Context Protocol.
pub(super) struct NodeClients;

impl Part for NodeClients {
    fn name(&self) -> &'static str {
        "AWS SDK for JavaScript"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["doors", "mcp", "sdks"]
    }

    fn install(&self, workspace: &Workspace) -> Result<()> {
        npm::install(workspace, "@aws-sdk/client-s3/package.json")
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        let modules = npm::modules(workspace)?.display().to_string();
        Ok(Started { variable: ("AGENTKEYS_TEST_NODE_MODULES", modules), _lifeline: None })
    }
}
