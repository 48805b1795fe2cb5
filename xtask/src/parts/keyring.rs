use anyhow::Result;

use super::{Part, Started, apt};
use crate::{invocation::is_installed, workspace::Workspace};

const PACKAGES: [&str; 2] = ["gnome-keyring", "dbus"];
const PROGRAMS: [&str; 3] = ["gnome-keyring-daemon", "dbus-daemon", "dbus-send"];

/// GNOME's keyring: a Secret Service, which each test starts for itself on a bus of its own.
pub(crate) struct Keyring;

impl Part for Keyring {
    fn name(&self) -> &'static str {
        "gnome-keyring"
    }

    fn tests(&self) -> &'static [&'static str] {
        &["keychain", "memory::the_keychain"]
    }

    fn install(&self, _workspace: &Workspace) -> Result<()> {
        if PROGRAMS.iter().all(|program| is_installed(program)) { Ok(()) } else { apt::install(&PACKAGES) }
    }

    fn start(&self, _workspace: &Workspace) -> Result<Started> {
        Ok(Started { variable: ("AGENTKEYS_TEST_KEYRING", PROGRAMS[0].to_owned()), _lifeline: None })
    }
}
