use anyhow::Result;

use super::{Part, Started, apt};
use crate::{invocation::is_installed, workspace::Workspace};

const PACKAGES: [&str; 3] = ["chromium", "chromium-driver", "fonts-dejavu-core"];
const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];

/// Chromium and its driver, which each test starts for itself with a profile of its own.
pub(crate) struct Chromium;

impl Part for Chromium {
    fn name(&self) -> &'static str {
        "Chromium"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["browser"]
    }

    fn install(&self, _workspace: &Workspace) -> Result<()> {
        if PROGRAMS.iter().all(|program| is_installed(program)) { Ok(()) } else { apt::install(&PACKAGES) }
    }

    fn start(&self, _workspace: &Workspace) -> Result<Started> {
        Ok(Started { variable: ("AGENTKEYS_TEST_CHROMEDRIVER", PROGRAMS[1].to_owned()), _lifeline: None })
    }
}
