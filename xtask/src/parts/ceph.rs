use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Part, Started, apt, lifeline::Lifeline, ports};
use crate::{invocation::is_installed, workspace::Workspace};

const PACKAGES: [&str; 4] = ["radosgw", "ceph-mon", "ceph-osd", "ceph-common"];
const PROGRAMS: [&str; 4] = ["radosgw", "ceph-mon", "ceph-osd", "ceph"];

/// Ceph radosgw: an STS that verifies our web-identity tokens, and an S3 that enforces their tags.
///
/// Its root user has the access key `ROOTAK` and the secret key `ROOTSK`.
pub(super) struct Ceph;

impl Part for Ceph {
    fn name(&self) -> &'static str {
        "Ceph"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["ceph", "doors::ceph", "sdks::ceph"]
    }

    fn install(&self, _workspace: &Workspace) -> Result<()> {
        if PROGRAMS.iter().all(|program| is_installed(program)) { Ok(()) } else { apt::install(&PACKAGES) }
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        let [monitor, radosgw] = ports::free()?;
        let folder = workspace.target("parts/ceph")?;
        let mut command = Command::new(workspace.path("testdata/ceph/run.sh"));
        command.arg(&folder).args([monitor, radosgw].map(|port| port.to_string())).stdout(Stdio::piped());
        let mut lifeline = Lifeline::start(&mut command)?;
        lifeline.wait_for_ready_line().with_context(|| format!("see {}", folder.join("log").display()))?;
        let url = format!("http://127.0.0.1:{radosgw}");
        Ok(Started { variable: ("AGENTKEYS_TEST_CEPH", url), _lifeline: Some(lifeline) })
    }
}
