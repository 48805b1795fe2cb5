use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
};

use agentkeys_mock_server::dev_key_service::MASTER_SECRET_VARIABLE;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use super::DevError;

/// Runs a program with these variables in its environment, and gives the code to exit with, as a shell would.
pub(super) async fn run(
    program: &OsStr,
    arguments: &[OsString],
    variables: &[(&'static str, String)],
) -> Result<u8, DevError> {
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    // Nothing of ours goes along, and no profile may come before the credentials.
    for name in [MASTER_SECRET_VARIABLE, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
        command.env_remove(name);
    }
    let child = command.spawn();
    match child {
        Ok(child) => wait(child).await.map_err(DevError::Signals),
        Err(source) => {
            tracing::debug!(%source, "the program did not start");
            let code = if source.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            Err(DevError::Program { program: program.to_owned(), source, code })
        }
    }
}

/// Waits for the program. The terminal sends Ctrl-C to both of us; what is sent to us alone is passed on.
async fn wait(mut child: Child) -> io::Result<u8> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    loop {
        tokio::select! {
            status = child.wait() => return Ok(code(status?)),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                if let Some(pid) = pid {
                    kill_process(pid, Signal::TERM)?;
                }
            }
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run_shell(script: &str) -> u8 {
        run(OsStr::new("sh"), &["-c".into(), script.into()], &[("GREETING", "hello".to_owned())]).await.unwrap()
    }

    #[tokio::test]
    async fn the_code_is_the_programs_own_or_tells_of_its_signal() {
        assert_eq!(run_shell("exit 0").await, 0);
        assert_eq!(run_shell("exit 42").await, 42);
        assert_eq!(run_shell("kill -TERM $$").await, 128 + 15);
        assert_eq!(run_shell(r#"test "$GREETING" = hello"#).await, 0);
    }

    #[tokio::test]
    async fn a_program_that_is_missing_or_no_program_has_the_codes_of_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();

        let missing = run(folder.path().join("missing").as_os_str(), &[], &[]).await;
        let no_program = run(file.as_os_str(), &[], &[]).await;

        assert!(matches!(missing, Err(DevError::Program { code: 127, .. })));
        assert!(matches!(no_program, Err(DevError::Program { code: 126, .. })));
    }
}
