use anyhow::Result;

use super::{Part, Started, npm};
use crate::workspace::Workspace;

/// npm's oidc-provider: a certified OpenID Provider, which each test starts for itself with clients of its own.
pub(crate) struct OidcProvider;

impl Part for OidcProvider {
    fn name(&self) -> &'static str {
        "oidc-provider"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["browser"]
    }

    fn install(&self, workspace: &Workspace) -> Result<()> {
        npm::install(workspace, "oidc-provider/package.json")
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        let modules = npm::modules(workspace)?.display().to_string();
        Ok(Started { variable: ("AGENTKEYS_TEST_OIDC_PROVIDER", modules), _lifeline: None })
    }
}
