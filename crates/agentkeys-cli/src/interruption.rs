use crate::error::CliError;

/// What comes of `work`, unless somebody presses Ctrl-C before: then it is dropped where it stands.
pub(crate) async fn or<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::select! {
        outcome = work => outcome,
        interrupted = tokio::signal::ctrl_c() => Err(interrupted.map_or_else(CliError::System, |()| CliError::Interrupted)),
    }
}
