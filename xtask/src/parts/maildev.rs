use std::{fs::File, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::{Part, Started, lifeline::Lifeline, npm, ports};
use crate::workspace::Workspace;

/// npm's maildev: a mail receiver whose mailbox is read over HTTP.
pub(super) struct Maildev;

const PROGRAM: &str = ".bin/maildev";

impl Part for Maildev {
    fn name(&self) -> &'static str {
        "maildev"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["browser", "maildev"]
    }

    fn install(&self, workspace: &Workspace) -> Result<()> {
        npm::install(workspace, PROGRAM)
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        let [smtp, web] = ports::free()?;
        let log = workspace.target("parts")?.join("maildev.log");
        let mut command = Command::new(workspace.path("testdata/until-eof.sh"));
        command.arg(npm::modules(workspace)?.join(PROGRAM));
        command.args(["--ip", "127.0.0.1", "--smtp", &smtp.to_string()]);
        command.args(["--web-ip", "127.0.0.1", "--web", &web.to_string()]);
        command.arg("--mail-directory").arg(workspace.target("parts/mail")?);
        let output = File::create(&log)?;
        command.stdout(output.try_clone()?).stderr(output);
        let mut lifeline = Lifeline::start(&mut command)?;
        let is_ready = || ports::answers(smtp) && ports::answers(web);
        lifeline.wait_until(Duration::from_mins(1), is_ready).with_context(|| format!("see {}", log.display()))?;
        let modules = workspace.target("parts/npm/node_modules")?;
        let place = format!("{smtp}:{web}:{}", modules.display());
        Ok(Started { variable: ("AGENTKEYS_TEST_MAILDEV", place), _lifeline: Some(lifeline) })
    }
}
