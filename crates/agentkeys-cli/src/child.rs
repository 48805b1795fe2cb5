//! Runs another program in our place: its exit code is ours, and what signals us signals it.

mod environment;
mod signals;

pub(crate) use self::{environment::Environment, signals::Signals};

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
};

use agentkeys_client::Exit;
use tokio::process::Command;

/// Why another program did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("`{}` could not be run: {source}", program.to_string_lossy())]
    Program {
        program: OsString,
        #[source]
        source: io::Error,
        /// What a shell would exit with.
        code: u8,
    },
    #[error("the system does not tell of signals")]
    Signals(#[source] io::Error),
}

impl ChildError {
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Program { code, .. } => *code,
            Self::Signals(_) => Exit::Other.code(),
        }
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Program { .. } => "program_failed",
            Self::Signals(_) => "system",
        }
    }
}

/// Runs `words` with this environment and nothing open above stderr, and gives the code to exit with, as a shell would.
///
/// The program is in our own process group, so that the terminal is its as much as ours.
pub(crate) async fn run(words: &[OsString], environment: Environment, signals: Signals) -> Result<u8, ChildError> {
    let (program, arguments) = words.split_first().map_or((OsStr::new(""), words), |(first, rest)| (first, rest));
    agentkeys_memory::keep_descriptors_apart().map_err(|source| not_run(program, source))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment.variables());
    let mut child = command.spawn().map_err(|source| not_run(program, source))?;
    signals.pass_on_until_the_end(&mut child).await.map(code).map_err(ChildError::Signals)
}

fn not_run(program: &OsStr, source: io::Error) -> ChildError {
    tracing::debug!(%source, "the program did not start");
    let code = if source.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    ChildError::Program { program: program.to_owned(), source, code }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run_shell(script: &str) -> u8 {
        let environment = Environment::of([("PATH", "/bin:/usr/bin"), ("GREETING", "hello")]);
        run(&["sh".into(), "-c".into(), script.into()], environment, Signals::listen().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn the_code_is_the_programs_own_or_tells_of_its_signal() {
        assert_eq!(run_shell("exit 0").await, 0);
        assert_eq!(run_shell("exit 42").await, 42);
        assert_eq!(run_shell("kill -TERM $$").await, 128 + 15);
        assert_eq!(run_shell("kill -KILL $$").await, 128 + 9);
        assert_eq!(run_shell(r#"test "$GREETING" = hello"#).await, 0);
    }

    #[tokio::test]
    async fn a_program_that_is_missing_or_no_program_has_the_codes_of_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let path = |path: std::path::PathBuf| [OsString::from(path)];
        let (environment, signals) = (Environment::default, || Signals::listen().unwrap());

        let missing = run(&path(folder.path().join("missing")), environment(), signals()).await;
        let no_program = run(&path(file), environment(), signals()).await;

        assert!(matches!(missing, Err(ChildError::Program { code: 127, .. })));
        assert!(matches!(no_program, Err(ChildError::Program { code: 126, .. })));
    }
}
