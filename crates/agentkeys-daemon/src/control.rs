use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::RunError;

/// Steers a running daemon, from its routes and from its process.
#[derive(Clone, Debug)]
pub(crate) struct Controls {
    reloads: mpsc::Sender<Reload>,
    stop: Arc<Notify>,
    endpoint: Arc<Mutex<Option<String>>>,
}

/// Somebody wants the rules to be read anew, and waits for what comes of it.
pub(crate) type Reload = oneshot::Sender<Result<(), RunError>>;

impl Controls {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Reload>) {
        let (reloads, wanted) = mpsc::channel(8);
        (Self { reloads, stop: Arc::default(), endpoint: Arc::default() }, wanted)
    }

    /// Has the rules read anew, and says what came of it.
    pub(crate) async fn reload(&self) -> Result<(), RunError> {
        let (answer, outcome) = oneshot::channel();
        let _ = self.reloads.send(answer).await;
        // A daemon that stops reads nothing any more.
        outcome.await.unwrap_or(Ok(()))
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.notify_one();
    }

    /// Completes when somebody has asked the daemon to stop.
    pub(crate) async fn asked_to_stop(&self) {
        self.stop.notified().await;
    }

    /// Where AWS SDKs find credentials over HTTP, if they do.
    pub(crate) fn endpoint(&self) -> Option<String> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_endpoint(&self, endpoint: Option<String>) {
        *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = endpoint;
    }
}
