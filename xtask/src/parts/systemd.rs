use anyhow::Result;

use super::{Part, Started, apt};
use crate::{invocation::is_installed, workspace::Workspace};

const PROGRAM: &str = "systemd-socket-activate";

/// systemd's own program that listens for a daemon and starts it with the first caller.
pub(crate) struct Systemd;

impl Part for Systemd {
    fn name(&self) -> &'static str {
        PROGRAM
    }

    fn tests(&self) -> &'static [&'static str] {
        &["systemd"]
    }

    fn install(&self, _workspace: &Workspace) -> Result<()> {
        if is_installed(PROGRAM) { Ok(()) } else { apt::install(&["systemd"]) }
    }

    fn start(&self, _workspace: &Workspace) -> Result<Started> {
        Ok(Started { variable: ("AGENTKEYS_TEST_SYSTEMD", PROGRAM.to_owned()), _lifeline: None })
    }
}
