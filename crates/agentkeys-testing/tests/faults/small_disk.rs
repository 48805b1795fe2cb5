use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command as Probe,
    sync::OnceLock,
};

use agentkeys_testing::Process;
use tokio::process::Command;

/// Gives the shell of a fresh mount namespace a disk of 1 MiB at `$0`, and runs the rest there.
const MOUNT: &str = r#"mount -t tmpfs -o size=1m,mode=700 tmpfs "$0" && exec "$@""#;

/// A disk of 1 MiB that only one process has, and that is gone with it.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Whether there can be one: either as root, or where users may have namespaces.
    pub(crate) fn is_possible() -> bool {
        flags().is_some()
    }

    /// A command that runs `binary` with such a disk for its state.
    pub(crate) fn launch(state: &Path, binary: PathBuf) -> Command {
        let mut command = Process::command("unshare");
        command.args(flags().expect("a small disk is possible")).args(["sh", "-ec", MOUNT]).arg(state).arg(binary);
        command
    }

    /// The disk of a process that was started so.
    pub(crate) fn of(process: &Process, state: &Path) -> Self {
        let root = PathBuf::from(format!("/proc/{}/root", process.id()));
        Self { folder: root.join(state.strip_prefix("/").unwrap()) }
    }

    /// Where the process has it, as seen from here.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes until not one byte more fits.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for size in [4096, 1] {
            loop {
                match filler.write_all(&[0; 4096][..size]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Gives the space back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

/// How `unshare` makes a namespace in which we may mount.
fn flags() -> Option<&'static [&'static str]> {
    static FLAGS: OnceLock<Option<&[&str]>> = OnceLock::new();
    *FLAGS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mounts = |flags: &&&[&str]| {
            let mut probe = Probe::new("unshare");
            probe.args(**flags).args(["sh", "-ec", MOUNT]).arg(folder.path()).arg("true");
            probe.output().is_ok_and(|output| output.status.success())
        };
        [["--mount"].as_slice(), &["--mount", "--map-root-user"]].iter().find(mounts).copied()
    })
}
