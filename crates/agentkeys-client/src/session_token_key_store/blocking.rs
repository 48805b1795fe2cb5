use std::time::Duration;

use tokio::sync::oneshot;

use super::StorageError;

/// Runs `work` where it may block, and stops waiting for it after `limit`.
///
/// On a thread of its own, because a runtime waits at its end for what it blocks on, for as long as that takes.
pub(super) async fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::time::timeout(limit, apart(work)).await.map_err(|_| StorageError::TimedOut)?
}

/// Runs `work` where it may block, for as long as it takes.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let (done, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name("session store".to_owned())
        .spawn(move || done.send(work()))
        .map_err(|error| StorageError::Failed(error.to_string()))?;
    answer.await.map_err(|_| StorageError::Failed("it ended without an answer".to_owned()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_hangs_is_given_up() {
        let (_never, held) = std::sync::mpsc::channel::<()>();

        let outcome = within(Duration::ZERO, move || Ok(held.recv().is_ok())).await;

        assert_eq!(outcome, Err(StorageError::TimedOut));
    }

    #[tokio::test]
    async fn a_store_that_panics_has_failed() {
        let outcome: Result<(), _> = apart(|| panic!("on purpose")).await;

        assert!(matches!(outcome, Err(StorageError::Failed(_))), "{outcome:?}");
    }
}
