//! Confines the process to what the worker does: its state folder, its port, its broker.

mod calls;

use std::{fmt, path::Path};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// What the resolver and the TLS library read to reach a broker.
const READ_TO_REACH_A_BROKER: [&str; 6] = [
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/ssl",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// Why the process is not confined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The kernel refused the system call filter.
    #[error("system calls could not be filtered: {0}")]
    Calls(#[from] seccompiler::Error),
    /// The kernel refused the rules for files and ports.
    #[error("files and ports could not be confined: {0}")]
    Files(#[from] RulesetError),
}

/// What the worker keeps, once confined.
#[derive(Debug)]
pub struct Needs<'a> {
    /// The folder that it reads and writes.
    pub state: &'a Path,
    /// Files and folders that it only reads.
    pub read: Vec<&'a Path>,
    /// Folders that it reads and writes beside the state, such as configfs.
    pub write: Vec<&'a Path>,
    /// The port that it listens on.
    pub listen: u16,
    /// The port of its broker.
    pub broker: u16,
}

/// What the kernel enforces from now on.
#[derive(Debug, PartialEq, Eq)]
pub struct Confinement {
    /// For files and ports (Landlock).
    pub files: RulesetStatus,
    /// Whether system calls are filtered (seccomp).
    pub calls: bool,
}

impl Confinement {
    /// Whether both are enforced, at least as far as this kernel knows them.
    pub fn holds(&self) -> bool {
        self.files != RulesetStatus::NotEnforced && self.calls
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = match self.files {
            RulesetStatus::FullyEnforced => "files and ports confined",
            RulesetStatus::PartiallyEnforced => "files confined, ports as far as this kernel can",
            RulesetStatus::NotEnforced => "files and ports NOT confined: this kernel has no Landlock",
        };
        let calls = if self.calls { "system calls filtered" } else { "system calls NOT filtered" };
        write!(formatter, "{files}; {calls}")
    }
}

/// Confines the calling thread, and every thread and process that it starts from now on. There is no way back.
///
/// To be called while there is one thread.
pub fn enter(needs: &Needs<'_>) -> Result<Confinement, SandboxError> {
    let files = confine(needs)?;
    // Some sandboxes let nobody add a filter. Landlock alone is then better than nothing.
    let calls = match calls::filter() {
        Ok(()) => true,
        Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error)) => {
            tracing::warn!(%error, "system calls are not filtered");
            false
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Confinement { files, calls })
}

fn confine(needs: &Needs<'_>) -> Result<RulesetStatus, RulesetError> {
    const ABI: ABI = ABI::V6;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI))?
        .handle_access(AccessNet::from_all(ABI))?
        .scope(Scope::from_all(ABI))?
        .create()?
        .add_rule(NetPort::new(needs.listen, AccessNet::BindTcp))?
        .add_rule(NetPort::new(needs.broker, AccessNet::ConnectTcp))?;
    ruleset = allow(ruleset, needs.state, AccessFs::from_all(ABI) & !AccessFs::Execute)?;
    for folder in &needs.write {
        ruleset = allow(ruleset, folder, AccessFs::from_all(ABI) & !AccessFs::Execute)?;
    }
    let to_read = READ_TO_REACH_A_BROKER.iter().map(Path::new).chain(needs.read.iter().copied());
    for path in to_read {
        ruleset = allow(ruleset, path, read)?;
    }
    Ok(ruleset.restrict_self()?.ruleset)
}

/// What is not there needs no rule.
fn allow(ruleset: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V6) };
    match PathFd::new(path) {
        Ok(opened) => ruleset.add_rule(PathBeneath::new(opened, access)),
        Err(_) => Ok(ruleset),
    }
}

#[cfg(test)]
mod tests;
