use anyhow::Result;

use super::{Part, Started};
use crate::{invocation::run_quietly, workspace::Workspace};

/// A program with the AWS SDK for Rust, built outside our own workspace.
pub(super) struct AwsSdkRust;

const FOLDER: &str = "parts/aws-sdk-rust";

impl Part for AwsSdkRust {
    fn name(&self) -> &'static str {
        "AWS SDK for Rust"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["doors", "sdks"]
    }

    /// Cargo itself knows what is built already.
    fn install(&self, workspace: &Workspace) -> Result<()> {
        let manifest = workspace.path("testdata/aws-sdk-rust/Cargo.toml");
        let mut build = workspace.cargo(&["build", "--quiet", "--locked"]);
        build.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(workspace.target(FOLDER)?);
        run_quietly(&mut build)
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        let program = workspace.target(FOLDER)?.join("debug/aws-sdk-rust").display().to_string();
        Ok(Started { variable: ("AGENTKEYS_TEST_AWS_SDK_RUST", program), _lifeline: None })
    }
}
