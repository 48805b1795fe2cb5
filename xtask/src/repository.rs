mod naming;

use std::{env, fs};

use anyhow::{Result, bail};

use crate::{invocation, workspace::Workspace};

/// Refuses words and paths that do not belong into a tracked file.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let machine = paths_of_this_machine(workspace);
    let mut found = Vec::new();
    for file in tracked_files(workspace)? {
        // Deleted but not committed yet, or not text.
        let Ok(text) = fs::read_to_string(workspace.path(&file)) else { continue };
        found.extend(objections(&file, &text, &machine));
    }
    if found.is_empty() { Ok(()) } else { bail!("\n  {}", found.join("\n  ")) }
}

fn tracked_files(workspace: &Workspace) -> Result<Vec<String>> {
    let listed = invocation::output_of(&mut workspace.command("git", &["ls-files", "-z"]))?;
    Ok(listed.split_terminator('\0').map(str::to_owned).collect())
}

/// The checkout and the home folder, unless they are too short to mean anything.
fn paths_of_this_machine(workspace: &Workspace) -> Vec<String> {
    let folders = [Some(workspace.root().to_owned()), env::home_dir()];
    let telling = folders.into_iter().flatten().filter(|folder| folder.parent().is_some());
    telling.map(|folder| format!("{}/", folder.display())).collect()
}

fn objections(file: &str, text: &str, machine: &[String]) -> Vec<String> {
    let of_this_machine = |line: &str| machine.iter().any(|path| line.contains(path));
    let paths = text.lines().enumerate().filter(|(_, line)| of_this_machine(line));
    let mut all: Vec<String> =
        paths.map(|(index, _)| format!("{file}:{}: a path of this machine", index + 1)).collect();
    // The changelog may say what a thing was once called.
    if file != "CHANGELOG.md" {
        let why = "the session token is not a JWT: call it the session token";
        all.extend(naming::objections(file, text).iter().map(|line| format!("{file}:{line}: {why}")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changelog_may_say_what_a_thing_was_called() {
        let text = format!("let x = session_{};", "jwt");

        assert_eq!(objections("crates/a/src/lib.rs", &text, &[]).len(), 1);
        assert!(objections("CHANGELOG.md", &text, &[]).is_empty());
    }

    #[test]
    fn a_path_of_this_machine_is_found() {
        let objections = objections("README.md", "\nsee /home/ada/notes", &["/home/ada/".to_owned()]);

        assert_eq!(objections, ["README.md:2: a path of this machine"]);
    }
}
