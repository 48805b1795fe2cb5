//! The real things that tests run against: other people's clients, servers and implementations.
//!
//! [`Parts`] gets those that this machine can have, starts them, and tells the tests where they are.
//! They end with it, or with this process, however that ends: see [`Lifeline`].

pub(crate) mod apt;
mod aws_sdk_rust;
pub(crate) mod axe;
mod ceph;
pub(crate) mod chromium;
pub(crate) mod gdb;
pub(crate) mod keyring;
mod lifeline;
mod maildev;
mod node_clients;
mod npm;
pub(crate) mod oidc_provider;
mod ports;
pub(crate) mod python;
pub(crate) mod swtpm;
mod systemd;
pub(crate) mod vectors;
mod vm;

use std::{
    fmt,
    fs::{self, File},
    path::Path,
};

use anyhow::{Context, Result};

use crate::{console::step, parts::lifeline::Lifeline, workspace::Workspace};

/// Something real that tests need.
pub(crate) trait Part {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// The modules of `real_parts` that need it.
    fn tests(&self) -> &'static [&'static str];

    /// Gets it onto this machine; quick where it is there already.
    fn install(&self, workspace: &Workspace) -> Result<()>;

    /// Starts it, where it is something that runs.
    fn start(&self, workspace: &Workspace) -> Result<Started>;
}

/// A part at the tests' disposal.
pub(crate) struct Started {
    /// The environment variable by which tests find it, and its value.
    variable: (&'static str, String),
    /// Held until the end, where the part is a process.
    _lifeline: Option<Lifeline>,
}

/// A part that cannot be had here, and the tests that are left out for it.
pub(crate) struct Missing {
    name: &'static str,
    tests: &'static [&'static str],
    why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, tests, why } = self;
        write!(formatter, "MISSING: {name}; left out: real_parts {}; because: {why}", tests.join(", "))
    }
}

/// All real parts, from their installation to their end.
pub(crate) struct Parts {
    installed: Vec<Box<dyn Part>>,
    missing: Vec<Missing>,
    started: Vec<Started>,
    /// Held until the end: two runs would take each other's folders away.
    _lock: File,
}

impl Parts {
    /// Gets every part that this machine can have.
    pub(crate) fn install(workspace: &Workspace) -> Result<Self> {
        let mut parts = Self::none(workspace)?;
        let all: [Box<dyn Part>; 13] = [
            Box::new(python::Python),
            Box::new(node_clients::NodeClients),
            Box::new(aws_sdk_rust::AwsSdkRust),
            Box::new(maildev::Maildev),
            Box::new(oidc_provider::OidcProvider),
            Box::new(axe::Axe),
            Box::new(chromium::Chromium),
            Box::new(ceph::Ceph),
            Box::new(keyring::Keyring),
            Box::new(gdb::Gdb),
            Box::new(swtpm::Swtpm),
            Box::new(systemd::Systemd),
            Box::new(vm::Vm),
        ];
        for part in all {
            match step(part.name(), || part.install(workspace)) {
                Ok(()) => parts.installed.push(part),
                Err(why) => parts.missing.push(Missing::new(part.as_ref(), &why)),
            }
        }
        Ok(parts)
    }

    /// Gets some parts, for a command that can do nothing without them.
    pub(crate) fn install_only(wanted: Vec<Box<dyn Part>>, workspace: &Workspace) -> Result<Self> {
        let mut parts = Self::none(workspace)?;
        for part in wanted {
            step(part.name(), || part.install(workspace))?;
            parts.installed.push(part);
        }
        Ok(parts)
    }

    fn none(workspace: &Workspace) -> Result<Self> {
        let lock = lock(&workspace.target("parts")?)?;
        Ok(Self { installed: Vec::new(), missing: Vec::new(), started: Vec::new(), _lock: lock })
    }

    /// Whether `part` could be installed.
    fn have(&self, part: &dyn Part) -> bool {
        self.installed.iter().any(|installed| installed.name() == part.name())
    }

    /// Whether `part` is started.
    pub(crate) fn has_started(&self, part: &dyn Part) -> bool {
        !self.missing.iter().any(|missing| missing.name == part.name())
    }

    /// Starts what is installed; what does not start is missing.
    pub(crate) fn start(&mut self, workspace: &Workspace) {
        for part in self.installed.drain(..) {
            match step(&format!("start {}", part.name()), || part.start(workspace)) {
                Ok(started) => self.started.push(started),
                Err(why) => self.missing.push(Missing::new(part.as_ref(), &why)),
            }
        }
    }

    /// The parts that cannot be had.
    pub(crate) fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The modules of `real_parts` that cannot run.
    pub(crate) fn left_out(&self) -> Vec<&'static str> {
        self.missing.iter().flat_map(|part| part.tests).copied().collect()
    }

    /// Where tests find the parts that are started.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.started.iter().map(|part| part.variable.clone())
    }
}

impl Missing {
    fn new(part: &dyn Part, why: &anyhow::Error) -> Self {
        Self { name: part.name(), tests: part.tests(), why: format!("{why:#}") }
    }
}

/// Keeps `folder` to this run until the lock is dropped.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let lock = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    lock.try_lock().with_context(|| format!("another run has {}: wait for it to end", folder.display()))?;
    Ok(lock)
}

/// Whether `stamp` says that `wanted` was installed before.
pub(crate) fn is_current(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|installed| installed == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_names_itself_its_tests_and_the_reason() {
        let missing = Missing::new(&ceph::Ceph, &anyhow::anyhow!("not root").context("cannot install"));

        let line = missing.to_string();

        assert_eq!(
            line,
            "MISSING: Ceph; left out: real_parts ceph, doors::ceph, sdks::ceph; because: cannot install: not root"
        );
    }
}
