use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};

use crate::invocation::run_quietly;

/// By which the worker finds the disk that it came from.
const LABEL: &str = "AGENTKEYS";
/// Where firmware looks for a program on a disk that it does not know.
const BOOTED: &str = "::/EFI/BOOT/BOOTX64.EFI";
const APPROVAL: &str = "::/agentkeys/approval.json";
const FOLDERS: [&str; 3] = ["::/EFI", "::/EFI/BOOT", "::/agentkeys"];
const MIB: u64 = 1024 * 1024;
/// The first second that FAT can write down: when everything on the disk was made.
const MADE: (&str, &str) = ("SOURCE_DATE_EPOCH", "315532800");

/// Writes a disk that boots `uki`: a FAT file system, always of the same bytes.
pub(super) fn write(disk: &Path, uki: &Path) -> Result<()> {
    let size = fs::metadata(uki).with_context(|| format!("cannot read {}", uki.display()))?.len();
    let file = File::create(disk).with_context(|| format!("cannot make {}", disk.display()))?;
    file.set_len((size + 8 * MIB).next_multiple_of(16 * MIB))?;
    run_quietly(Command::new("mkfs.vfat").args(["--invariant", "-F", "16", "-n", LABEL]).arg(disk))?;
    run_quietly(mtool("mmd", disk).args(FOLDERS))?;
    run_quietly(mtool("mcopy", disk).arg(uki).arg(BOOTED))
}

/// Puts an approval onto a disk, where the worker reads it: it is signed, and not measured.
pub(super) fn add_approval(disk: &Path, approval: &Path) -> Result<()> {
    run_quietly(mtool("mcopy", disk).arg("-o").arg(approval).arg(APPROVAL))
}

fn mtool(program: &str, disk: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(MADE.0, MADE.1).env("TZ", "UTC").arg("-i").arg(disk);
    command
}
