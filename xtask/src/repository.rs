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
        for (index, line) in text.lines().enumerate() {
            found.extend(objection(&file, line, &machine).map(|why| format!("{file}:{}: {why}", index + 1)));
        }
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

fn objection(file: &str, line: &str, machine: &[String]) -> Option<&'static str> {
    // The changelog may say what a thing was once called.
    if file != "CHANGELOG.md" && calls_the_session_token_a_jwt(line) {
        return Some("the session token is not a JWT: call it the session token");
    }
    machine.iter().any(|path| line.contains(path)).then_some("a path of this machine")
}

fn calls_the_session_token_a_jwt(line: &str) -> bool {
    let joined: String = line.to_lowercase();
    ["", " ", "_", "-"].iter().any(|between| {
        joined.contains(&["session", "jwt"].join(between)) || joined.contains(&["jwt", "session"].join(between))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_token_is_never_called_a_jwt() {
        for (first, second) in [("session", "_jwt"), ("Session", "Jwt"), ("JWT", "-session"), ("session", " JWT")] {
            let line = format!("let x = {first}{second};");

            assert!(objection("crates/a/src/lib.rs", &line, &[]).is_some(), "{line}");
            assert!(objection("CHANGELOG.md", &line, &[]).is_none(), "{line}");
        }
    }

    #[test]
    fn other_words_are_welcome() {
        for line in ["mints the OIDC JWT for a wallet session", "session token", "jwt.session_id", "jwts; session"] {
            assert_eq!(objection("README.md", line, &["/home/ada/".to_owned()]), None, "{line}");
        }
    }

    #[test]
    fn a_path_of_this_machine_is_found() {
        let line = "see /home/ada/notes";

        assert!(objection("README.md", line, &["/home/ada/".to_owned()]).is_some());
    }
}
