use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
    process,
};

use zeroize::Zeroizing;

use super::search::{Place, Search};

/// Linux allows an argument or a variable of 128 KiB, and together some MiB.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Looks at the command lines and the environments of the caller's own processes, as far as the kernel shows them.
pub(super) fn search(processes: &Path, search: &mut Search) {
    let Ok(folders) = fs::read_dir(processes) else { return };
    let user = rustix::process::geteuid().as_raw();
    let mut seen = None;
    for folder in folders.flatten() {
        let Some(pid) = folder.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if !search.has_time() {
            break;
        }
        // What this process was given came from its parents, which are looked at.
        if pid == process::id() || !folder.metadata().is_ok_and(|metadata| metadata.uid() == user) {
            continue;
        }
        *seen.get_or_insert(0) += 1;
        search.text(&read(&folder.path().join("cmdline")), || Place::CommandLine { pid });
        for variable in read(&folder.path().join("environ")).split(|byte| *byte == 0) {
            search.text(variable, || Place::Variable { pid, name: name_of(variable) });
        }
    }
    search.processes = seen;
}

/// What there is; nothing of a process that has ended, or hides it.
fn read(path: &Path) -> Zeroizing<Vec<u8>> {
    let mut content = Zeroizing::new(Vec::new());
    if let Ok(file) = File::open(path) {
        let _ = file.take(LARGEST).read_to_end(&mut content);
    }
    content
}

fn name_of(variable: &[u8]) -> String {
    let name = variable.split(|byte| *byte == b'=').next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
