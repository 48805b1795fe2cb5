use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// How to call this program from another terminal: by its name where that finds it, otherwise by its path.
pub(super) fn program() -> String {
    const NAME: &str = "agentkeys";
    let Ok(path) = env::current_exe() else { return NAME.to_owned() };
    #[expect(clippy::disallowed_methods, reason = "the shell's own setting, which is no setting of ours")]
    let folders = env::var_os("PATH").unwrap_or_default();
    if is_found(NAME, &path, env::split_paths(&folders)) { NAME.to_owned() } else { quoted(&path) }
}

/// Whether the first program of that name is `path` itself.
fn is_found(name: &str, path: &Path, folders: impl Iterator<Item = PathBuf>) -> bool {
    let first = folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file());
    let same = |candidate: PathBuf| Some(fs::canonicalize(candidate).ok()? == fs::canonicalize(path).ok()?);
    first.and_then(same).unwrap_or(false)
}

/// As one word inside the double quotes of the command that is shown.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.chars().all(|character| character.is_alphanumeric() || "/._-+@:,".contains(character));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
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

    #[test]
    fn a_path_with_spaces_is_quoted() {
        assert_eq!(quoted(Path::new("/home/ada/target/debug/agentkeys")), "/home/ada/target/debug/agentkeys");
        assert_eq!(quoted(Path::new("/home/ada b/agentkeys")), "'/home/ada b/agentkeys'");
    }
}
