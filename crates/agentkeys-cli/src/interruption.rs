use tokio::signal::unix::{SignalKind, signal};

use crate::error::CliError;

/// What comes of `work`, unless somebody presses Ctrl-C before: then it is dropped where it stands.
pub(crate) async fn or<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    // Before the work says anything that somebody could answer with Ctrl-C.
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        outcome = work => outcome,
        _ = interrupt.recv() => Err(CliError::Interrupted),
    }
}

/// As [`or`], for work without an end: whoever asks the process to terminate means nothing but its end.
pub(crate) async fn or_termination(work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        outcome = or(work) => outcome,
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}
