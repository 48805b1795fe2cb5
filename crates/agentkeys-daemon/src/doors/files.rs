use std::{sync::Arc, time::Duration};

use agentkeys_client::TokenFileSettings;
use agentkeys_types::AgentName;
use tokio::{sync::watch, task::JoinHandle};

use crate::cached::is_final;
use crate::{Alarm, Consumer, Desk, Door, TokenFile, Visitor};

/// After an attempt that failed, and between two that did not, however short the JWTs live.
const PAUSE: Duration = Duration::from_secs(2);
/// A JWT lives five minutes, whatever a clock that was set back makes of its end.
const LONGEST_WAIT: Duration = Duration::from_secs(200);
/// The longest pause, after many that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

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
            remove(&file);
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

/// Replaces the JWT at two thirds of its life, or tries again soon: an old one stays for as long as it counts, unless
/// nobody may have one any more.
async fn rewrite(file: &TokenFile, settings: &TokenFileSettings, visitor: &Visitor, desk: &Desk) {
    let TokenFileSettings { audience, agent, path } = settings;
    let mut pause = PAUSE;
    loop {
        let outcome = desk.hand_out_token(visitor, audience, agent.as_ref()).await;
        pause = if outcome.is_ok() { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        let now = desk.clock().now();
        let next = match outcome {
            Ok(token) => match file.write(&token.jwt) {
                Ok(()) => now.after(until_next(token.expires_at.since(now))),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "a token file could not be written");
                    now.after(LONGEST_PAUSE)
                }
            },
            Err(error) => {
                tracing::warn!(%error, code = error.code(), path = %path.display(), "a token file could not be renewed");
                if is_final(&error) {
                    remove(file);
                }
                now.after(if error.retryable() { pause } else { LONGEST_PAUSE })
            }
        };
        // By the clock on the wall or by the time that passes, whichever is first: the one may be set back meanwhile.
        let _ = tokio::time::timeout(next.since(now).min(LONGEST_WAIT), Alarm::until(next)).await;
    }
}

/// When a JWT with so much life left is replaced.
fn until_next(life: Duration) -> Duration {
    (life * 2 / 3).max(PAUSE)
}

fn remove(file: &TokenFile) {
    if let Err(error) = file.remove() {
        tracing::warn!(%error, path = %file.path().display(), "a token file stays behind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_rewritten_before_its_jwt_ends_however_old_that_was_when_it_was_written() {
        for life in [300, 200, 100, 30, 10, 4] {
            let life = Duration::from_secs(life);

            assert!(until_next(life) < life, "{life:?}");
        }
        assert_eq!(until_next(Duration::from_mins(5)), Duration::from_secs(200));
        assert_eq!(until_next(Duration::ZERO), PAUSE);
    }
}
