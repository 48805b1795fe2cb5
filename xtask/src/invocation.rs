use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a command to its end; a failure says how to run it by hand.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", by_hand(command)))?;
    if !status.success() {
        bail!("by hand: {}", by_hand(command));
    }
    Ok(())
}

/// Runs a command silently; a failure carries the end of what it wrote.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start `{}`", by_hand(command)))?;
    if !output.status.success() {
        let written = String::from_utf8_lossy(&output.stderr);
        let end: Vec<_> = written.lines().rev().take(5).collect();
        let end: Vec<_> = end.into_iter().rev().collect();
        bail!("{}\nby hand: {}", end.join("\n"), by_hand(command));
    }
    Ok(())
}

/// Runs a command and takes what it prints.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    command.stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start `{}`", by_hand(command)))?;
    if !output.status.success() {
        bail!("by hand: {}", by_hand(command));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", by_hand(command)))
}

/// Whether a program exists here.
pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdin(Stdio::null()).output().is_ok()
}

/// The command as a person would type it.
pub(crate) fn by_hand(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(&value?.to_string_lossy()))));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_a_shell_would_take_it() {
        let mut command = Command::new("cargo");
        command.args(["test", "--", "it's", ""]).env("RUSTDOCFLAGS", "-D warnings");

        assert_eq!(by_hand(&command), r"RUSTDOCFLAGS='-D warnings' cargo test -- 'it'\''s' ''");
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(&mut Command::new("false")).unwrap_err();

        assert_eq!(error.to_string(), "by hand: false");
    }

    #[test]
    fn a_silent_failure_carries_what_was_written() {
        let error = run_quietly(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();

        assert!(error.to_string().starts_with("why\nby hand: sh -c"), "{error}");
    }
}
