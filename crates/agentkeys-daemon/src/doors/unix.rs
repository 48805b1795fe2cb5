use std::time::Duration;

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    Socket,
    routes::{Caller, Station, router},
};

/// How long a door that closes waits for the answers under way.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// A socket that answers. Closes when dropped.
pub(super) struct UnixDoor {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl UnixDoor {
    pub(super) fn open(socket: Socket, station: Station) -> Self {
        let (stop, stopped) = watch::channel(());
        Self { stop, task: tokio::spawn(answer(socket, station, stopped)) }
    }

    /// Stops listening, and returns when the answers under way have left.
    pub(super) async fn close(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

async fn answer(socket: Socket, station: Station, mut stopped: watch::Receiver<()>) {
    let (listener, file) = socket.into_parts();
    let service = router(station).into_make_service_with_connect_info::<Caller>();
    let mut told = stopped.clone();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move { drop(told.changed().await) });
    let too_late = async {
        let _ = stopped.changed().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        _ = server => {}
        () = too_late => {}
    }
    drop(file);
}
