use anyhow::{Result, ensure};
use rustix::process::geteuid;

use super::{Part, Started, apt};
use crate::{invocation::is_installed, workspace::Workspace};

const PROGRAM: &str = "gdb";

/// gdb, which writes cores of running processes, the registers of their threads included.
pub(crate) struct Gdb;

impl Part for Gdb {
    fn name(&self) -> &'static str {
        "gdb"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["memory"]
    }

    fn install(&self, _workspace: &Workspace) -> Result<()> {
        ensure!(geteuid().is_root(), "only root may read the memory of a process that is closed to others");
        if is_installed(PROGRAM) { Ok(()) } else { apt::install(&[PROGRAM]) }
    }

    fn start(&self, _workspace: &Workspace) -> Result<Started> {
        Ok(Started { variable: ("AGENTKEYS_TEST_GDB", PROGRAM.to_owned()), _lifeline: None })
    }
}
