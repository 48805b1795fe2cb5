use anyhow::Result;

use super::{Part, Started, apt};
use crate::{invocation::is_installed, workspace::Workspace};

const PACKAGES: [&str; 2] = ["swtpm", "swtpm-tools"];
const PROGRAMS: [&str; 3] = ["swtpm", "swtpm_setup", "swtpm_localca"];

/// swtpm: a TPM 2.0 whose endorsement key is certified, which each test makes and starts for itself.
pub(crate) struct Swtpm;

impl Part for Swtpm {
    fn name(&self) -> &'static str {
        "swtpm"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["tpm", "worker", "attestation", "conformance::worker", "memory::the_worker"]
    }

    fn install(&self, _workspace: &Workspace) -> Result<()> {
        if PROGRAMS.iter().all(|program| is_installed(program)) { Ok(()) } else { apt::install(&PACKAGES) }
    }

    fn start(&self, _workspace: &Workspace) -> Result<Started> {
        Ok(Started { variable: ("AGENTKEYS_SWTPM", PROGRAMS[0].to_owned()), _lifeline: None })
    }
}
