use std::{
    fs::{self, File},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{Part, Started, is_current, lifeline::Lifeline, ports};
use crate::{
    invocation::{is_installed, run_quietly},
    workspace::Workspace,
};

/// npm's maildev: a mail receiver whose mailbox is read over HTTP.
pub(super) struct Maildev;

const PROGRAM: &str = "node_modules/.bin/maildev";

impl Part for Maildev {
    fn name(&self) -> &'static str {
        "maildev"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["maildev"]
    }

    fn install(&self, workspace: &Workspace) -> Result<()> {
        let folder = workspace.target("parts/npm")?;
        let lock = fs::read_to_string(workspace.path("testdata/npm/package-lock.json"))?;
        let stamp = folder.join("installed");
        if is_current(&stamp, &lock) && folder.join(PROGRAM).exists() {
            return Ok(());
        }
        ensure!(is_installed("npm"), "needs Node.js 20 and npm");
        for file in ["package.json", "package-lock.json"] {
            fs::copy(workspace.path(&format!("testdata/npm/{file}")), folder.join(file))?;
        }
        let mut npm = Command::new("npm");
        run_quietly(npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder))?;
        Ok(fs::write(stamp, lock)?)
    }

    fn start(&self, workspace: &Workspace) -> Result<Started> {
        let [smtp, web] = ports::free()?;
        let log = workspace.target("parts")?.join("maildev.log");
        let mut command = Command::new(workspace.path("testdata/until-eof.sh"));
        command.arg(workspace.target("parts/npm")?.join(PROGRAM));
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
