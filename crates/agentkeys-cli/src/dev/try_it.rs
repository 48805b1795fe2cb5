use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::commands::aws::word;

/// How to call this program from another terminal: by its name where that finds it, otherwise by its path.
pub(super) fn program() -> String {
    const NAME: &str = "agentkeys";
    let Ok(path) = env::current_exe() else { return NAME.to_owned() };
    #[expect(clippy::disallowed_methods, reason = "the shell's own setting, which is no setting of ours")]
    let folders = env::var_os("PATH").unwrap_or_default();
    if is_found(NAME, &path, env::split_paths(&folders)) { NAME.to_owned() } else { word(&path.display().to_string()) }
}

/// Whether the first program of that name is `path` itself.
fn is_found(name: &str, path: &Path, folders: impl Iterator<Item = PathBuf>) -> bool {
    let first = folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file());
    let same = |candidate: PathBuf| Some(fs::canonicalize(candidate).ok()? == fs::canonicalize(path).ok()?);
    first.and_then(same).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_alone_is_enough_only_where_it_finds_this_program() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        for place in [&here, &there] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("agentkeys"), "").unwrap();
        }
        let program = here.join("agentkeys");

        assert!(is_found("agentkeys", &program, [here.clone(), there.clone()].into_iter()));
        assert!(!is_found("agentkeys", &program, [there, here].into_iter()));
        assert!(!is_found("agentkeys", &program, [folder.path().to_owned()].into_iter()));
    }
}
