use std::{fs, path::Path};

use anyhow::{Context, Result};

/// What the kernel is told once all is in place, below `/proc/sys`.
const SETTINGS: [(&str, &str); 9] = [
    // No process may look into another, the first one included.
    ("kernel/yama/ptrace_scope", "3"),
    // No core of a process, wherever it would go.
    ("kernel/core_pattern", ""),
    ("fs/suid_dumpable", "0"),
    // No other kernel, and no more of this one.
    ("kernel/kexec_load_disabled", "1"),
    ("kernel/modules_disabled", "1"),
    ("kernel/kptr_restrict", "2"),
    ("kernel/dmesg_restrict", "1"),
    ("kernel/perf_event_paranoid", "3"),
    ("kernel/sysrq", "0"),
];

/// Closes the kernel's doors that the worker does not need.
pub(super) fn apply() -> Result<()> {
    for (name, value) in SETTINGS {
        let path = Path::new("/proc/sys").join(name);
        fs::write(&path, format!("{value}\n")).with_context(|| format!("cannot set {name}"))?;
    }
    Ok(())
}
