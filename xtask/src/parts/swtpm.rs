use std::process::Stdio;

use anyhow::Result;

use super::{Part, Started, apt};
use crate::{
    invocation::{self, is_installed},
    workspace::Workspace,
};

const PACKAGES: [&str; 2] = ["swtpm", "swtpm-tools"];
const PROGRAMS: [&str; 3] = ["swtpm", "swtpm_setup", "swtpm_localca"];

/// swtpm: a TPM 2.0 whose endorsement key is certified, which each test makes and starts for itself.
pub(crate) struct Swtpm;

impl Part for Swtpm {
    fn name(&self) -> &'static str {
        "swtpm"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["attestation", "conformance::worker", "memory::the_worker", "tpm", "with_worker", "worker"]
    }

    fn install(&self, _workspace: &Workspace) -> Result<()> {
        if PROGRAMS.iter().all(|program| is_installed(program)) { Ok(()) } else { apt::install(&PACKAGES) }
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        // Its setup starts the others by their full names, which lie in the same folder.
        let path = invocation::output_of(workspace.command("sh", &["-c", "command -v swtpm"]).stdin(Stdio::null()))?;
        Ok(Started { variable: ("AGENTKEYS_SWTPM", path.trim_end().to_owned()), _lifeline: None })
    }
}
