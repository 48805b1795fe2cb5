//! What the worker does as the first process of the measured image, where nothing but the kernel runs before it.
//!
//! [`run`] makes the machine ready, starts the worker as its only child, and switches the machine off when that ends.
//! There is no other program in the image, no shell, and nobody to sign in.

mod disks;
mod hardening;
mod machine;
mod modules;
mod mounts;
mod netlink;
mod network;

use std::{
    fs,
    io::{Write, stderr},
    path::Path,
    process::{Command, id},
};

use anyhow::{Context, Result, bail};
use rustix::{
    process::{Pid, WaitOptions, WaitStatus, wait},
    system::{RebootCommand, reboot, sethostname},
};

use crate::init::machine::Machine;

/// The worker's binary, in the image.
const WORKER: &str = "/init";
/// What the machine is called and where it is in the network: measured, like all of the image.
const MACHINE: &str = "/etc/agentkeys/machine.toml";

/// Whether this process is the first one.
pub fn is_first_process() -> bool {
    id() == 1
}

/// Makes the machine ready, runs the worker to its end and switches the machine off.
///
/// It gives something back only where the machine does not go off; the kernel then ends it.
pub fn run() -> Result<()> {
    match prepare().and_then(|()| run_worker()) {
        Ok(status) => say(&format!("the worker has ended: {}", in_words(status))),
        Err(error) => say(&format!("error: {error:#}")),
    }
    mounts::release();
    reboot(RebootCommand::PowerOff).context("the machine does not go off")
}

fn prepare() -> Result<()> {
    mounts::of_the_kernel()?;
    modules::load()?;
    mounts::of_modules()?;
    let machine = Machine::load(Path::new(MACHINE))?;
    sethostname(machine.hostname.as_bytes()).context("cannot set the host's name")?;
    fs::write("/etc/hosts", machine.hosts_file()).context("cannot write /etc/hosts")?;
    network::configure(machine.network.as_ref())?;
    mounts::of_disks()?;
    mounts::close_root()?;
    hardening::apply()
}

/// Starts the worker and waits for it, and for whatever else becomes a child of the first process.
fn run_worker() -> Result<WaitStatus> {
    let child = Command::new(WORKER).env_clear().env("NO_COLOR", "1").spawn().context("cannot start the worker")?;
    let worker = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the worker has no process id")?;
    loop {
        let Some((ended, status)) = wait(WaitOptions::empty()).context("cannot wait for the worker")? else {
            bail!("the worker is gone");
        };
        if ended == worker {
            return Ok(status);
        }
    }
}

fn in_words(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "nobody knows how".to_owned(),
    }
}

/// Writes a line to the machine's console.
fn say(line: &str) {
    // With no console there is nobody to tell.
    let _ = writeln!(stderr(), "init: {line}");
}
