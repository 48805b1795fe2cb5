use std::{sync::Arc, time::Duration};

use agentkeys_client::TokenFileSettings;
use agentkeys_types::AgentName;
use tokio::{sync::watch, task::JoinHandle};

use crate::{Alarm, Consumer, Desk, Door, TokenFile, Visitor};

/// After an attempt that failed, and between two that did not, however short the JWTs live.
const PAUSE: Duration = Duration::from_secs(2);

/// A file with a JWT that is replaced before it ends. Removed when it is no longer kept.
pub(super) struct KeptFile {
    settings: TokenFileSettings,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

/// The file is the person's own.
pub(super) fn of_person() -> Visitor {
    Visitor { consumer: Consumer::Person, door: Door::TokenFile, peer: None }
}

/// The file is an agent's.
pub(super) fn of_agent(agent: &AgentName) -> Visitor {
    Visitor { consumer: Consumer::Agent(agent.clone()), door: Door::TokenFile, peer: None }
}

impl KeptFile {
    pub(super) fn keep(settings: TokenFileSettings, visitor: Visitor, desk: Arc<Desk>) -> Self {
        let (stop, mut stopped) = watch::channel(());
        let kept = settings.clone();
        let task = tokio::spawn(async move {
            let file = TokenFile::new(&kept.path);
            tokio::select! {
                () = rewrite(&file, &kept, &visitor, &desk) => {}
                _ = stopped.changed() => {}
            }
            if let Err(error) = file.remove() {
                tracing::warn!(%error, "a token file stays behind");
            }
        });
        Self { settings, stop, task }
    }

    pub(super) fn settings(&self) -> &TokenFileSettings {
        &self.settings
    }

    /// Removes the file.
    pub(super) async fn close(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

/// Replaces the JWT at two thirds of its life, or tries again soon: an old one stays, for as long as it counts.
async fn rewrite(file: &TokenFile, settings: &TokenFileSettings, visitor: &Visitor, desk: &Desk) {
    let TokenFileSettings { audience, agent, path } = settings;
    loop {
        let now = desk.clock().now();
        let next = match desk.hand_out_token(visitor, audience, agent.as_ref()).await {
            Ok(token) => match file.write(&token.jwt) {
                Ok(()) => now.after((token.expires_at.since(now) * 2 / 3).max(PAUSE)),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "a token file could not be written");
                    now.after(PAUSE * 15)
                }
            },
            Err(error) => {
                tracing::warn!(%error, code = error.code(), path = %path.display(), "a token file could not be renewed");
                now.after(PAUSE * if error.retryable() { 1 } else { 15 })
            }
        };
        Alarm::until(next).await;
    }
}
