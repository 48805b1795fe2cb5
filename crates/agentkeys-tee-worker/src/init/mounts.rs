use std::{
    ffi::CStr,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use rustix::{
    fs::sync,
    mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount},
};

use super::{disks::FileSystem, say};

/// What the worker keeps: the sealed master secret and its log. An operator makes it once: `mkfs.ext4 -L
/// agentkeys-state`.
const STATE: FileSystem = FileSystem::Ext4("agentkeys-state");
const STATE_FOLDER: &str = "/var/lib/agentkeys-worker";
/// The disk that the image lies on, beside which releases are approved.
const IMAGE: FileSystem = FileSystem::Fat("AGENTKEYS");
const IMAGE_FOLDER: &str = "/efi";

/// Nothing that lies on a disk or that the kernel shows is a program or a device.
const INERT: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Mounts what the kernel shows of itself.
pub(super) fn of_the_kernel() -> Result<()> {
    mount_at("proc", "/proc", "proc", INERT, None)?;
    mount_at("sysfs", "/sys", "sysfs", INERT, None)?;
    mount_at("devtmpfs", "/dev", "devtmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, Some(c"mode=0755"))?;
    mount_at("securityfs", "/sys/kernel/security", "securityfs", INERT, None)
}

/// Mounts what the kernel shows once it has its modules.
pub(super) fn of_modules() -> Result<()> {
    mount_at("configfs", "/sys/kernel/config", "configfs", INERT, None)
}

/// Mounts the state, without which there is no worker, and the disk of the image, where it is seen.
pub(super) fn of_disks() -> Result<()> {
    let state = STATE.find()?.context("no disk has an ext4 file system with the label agentkeys-state")?;
    mount_at(&state.to_string_lossy(), STATE_FOLDER, "ext4", INERT, Some(c"errors=remount-ro"))?;
    fs::set_permissions(STATE_FOLDER, Permissions::from_mode(0o700)).context("cannot close the state to others")?;
    if let Some(image) = IMAGE.find()? {
        return mount_at(&image.to_string_lossy(), IMAGE_FOLDER, "vfat", INERT | MountFlags::RDONLY, None);
    }
    say("no disk has a FAT file system with the label AGENTKEYS");
    Ok(())
}

/// Lets nobody write to what came with the image.
pub(super) fn close_root() -> Result<()> {
    mount_remount("/", MountFlags::RDONLY, c"").context("cannot make the root read-only")
}

/// Brings everything to the disks before the machine goes off.
pub(super) fn release() {
    sync();
    // It is read again at the next start, whether or not it was let go.
    let _ = unmount(STATE_FOLDER, UnmountFlags::DETACH);
    sync();
}

fn mount_at(source: &str, target: &str, kind: &str, flags: MountFlags, options: Option<&CStr>) -> Result<()> {
    if !Path::new(target).exists() {
        fs::create_dir_all(target).with_context(|| format!("cannot make {target}"))?;
    }
    mount(source, target, kind, flags, options).with_context(|| format!("cannot mount {source} at {target}"))
}
