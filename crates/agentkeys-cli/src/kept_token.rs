use std::{
    convert::Infallible,
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agentkeys_api::{Audience, DaemonToken};
use agentkeys_client::Dispenser;
use agentkeys_daemon::{Alarm, TokenFile};
use agentkeys_types::{AgentName, Clock, Timestamp};
use tokio::time::Instant;

use crate::{context::Context, error::CliError};

/// The pause after a first failure, and the longest one after many.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));

/// A file with a JWT that is kept fresh. Removed when dropped.
#[derive(Debug)]
pub(crate) struct KeptToken {
    file: TokenFile,
    dispenser: Arc<dyn Dispenser>,
    audience: Audience,
    agent: Option<AgentName>,
    clock: Arc<dyn Clock>,
    /// When the JWT is due to be replaced.
    due: Timestamp,
    /// The same for a clock that nobody sets.
    due_at: Instant,
    stays: bool,
}

impl KeptToken {
    /// Writes a first JWT to `path`.
    pub(crate) async fn write(
        path: &Path,
        audience: Audience,
        agent: Option<AgentName>,
        context: &Context,
    ) -> Result<(Self, DaemonToken), CliError> {
        let mut kept = Self {
            file: TokenFile::new(path),
            dispenser: context.dispenser(),
            audience,
            agent,
            clock: Arc::clone(&context.clock),
            due: Timestamp::from_unix(0),
            due_at: Instant::now(),
            // Until something of ours is there.
            stays: true,
        };
        let token = kept.renew().await?;
        kept.stays = false;
        Ok((kept, token))
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Leaves the file where it is.
    pub(crate) fn leave(mut self) {
        self.stays = true;
    }

    /// Replaces the JWT at two thirds of its life, again and again.
    pub(crate) async fn keep_fresh(&mut self) -> Infallible {
        let mut pause = PAUSES.0;
        loop {
            // One of them goes on while the machine sleeps, the other one where its clock is set back.
            while self.clock.now() < self.due && Instant::now() < self.due_at {
                let _ = tokio::time::timeout_at(self.due_at, Alarm::until(self.due)).await;
            }
            match self.renew().await {
                Ok(_) => pause = PAUSES.0,
                Err(error) => {
                    tracing::warn!(%error, file = %self.path().display(), "the JWT could not be renewed");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<DaemonToken, CliError> {
        let token = self.dispenser.token(&self.audience, self.agent.as_ref()).await?;
        self.file.write(&token.jwt)?;
        let now = self.clock.now();
        let left = (token.expires_at.since(now) * 2 / 3).max(Duration::from_secs(1));
        (self.due, self.due_at) = (now.after(left), Instant::now() + left);
        Ok(token)
    }
}

impl Drop for KeptToken {
    fn drop(&mut self) {
        if !self.stays
            && let Err(error) = self.file.remove()
        {
            tracing::warn!(%error, "the file with the JWT is still there");
        }
    }
}

/// The folder of the profile's socket, made where it is missing: what nobody has named another place for lies there.
pub(crate) fn socket_folder(context: &Context) -> Result<PathBuf, CliError> {
    let socket = context.socket();
    let folder = socket.parent().unwrap_or(Path::new("/"));
    let failed = |source| CliError::File { context: format!("`{}` cannot be made", folder.display()), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use agentkeys_api::{DaemonCredentials, ErrorCode, Problem};
    use agentkeys_client::ClientError;
    use agentkeys_types::{OidcJwt, RoleName, SystemClock};
    use async_trait::async_trait;
    use tokio::sync::watch;

    use super::*;

    /// Gives JWTs that live for so long, and counts them.
    #[derive(Debug)]
    struct Counting {
        life: Duration,
        count: watch::Sender<u32>,
    }

    impl Counting {
        fn of_life(life: Duration) -> Arc<Self> {
            Arc::new(Self { life, count: watch::Sender::new(0) })
        }
    }

    #[async_trait]
    impl Dispenser for Counting {
        async fn credentials(&self, _: &RoleName, _: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
            let problem = Problem::new(ErrorCode::NotFound, "none");
            Err(ClientError::Problem { problem, retry_after: None })
        }

        async fn token(&self, audience: &Audience, _: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
            self.count.send_modify(|count| *count += 1);
            let count = *self.count.borrow();
            Ok(DaemonToken {
                jwt: OidcJwt::new(format!("jwt.{count}")),
                audience: audience.clone(),
                expires_at: SystemClock.now().after(self.life),
                agent: None,
                wallet: "0x74144a5f826537a8610B136552c6fFEc9D37A6dE".parse().unwrap(),
            })
        }
    }

    #[tokio::test]
    async fn a_file_is_written_anew_before_its_jwt_ends_and_is_gone_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mut kept = kept(&path, Counting::of_life(Duration::from_secs(1)));
        kept.renew().await.unwrap();
        let first = std::fs::read_to_string(&path).unwrap();

        tokio::select! {
            never = kept.keep_fresh() => match never {},
            () = written(&path, "jwt.2") => {}
        }

        assert_eq!(first, "jwt.1");
        drop(kept);
        assert!(!path.exists());
    }

    /// The clock of the machine stands still here, beside that of the runtime.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_does_not_put_off_what_is_due() {
        let folder = tempfile::tempdir().unwrap();
        let dispenser = Counting::of_life(Duration::from_hours(1));
        let mut kept = kept(&folder.path().join("token"), Arc::clone(&dispenser));
        kept.renew().await.unwrap();
        let (mut given, begin) = (dispenser.count.subscribe(), Instant::now());

        tokio::select! {
            never = kept.keep_fresh() => match never {},
            given = given.wait_for(|count| *count == 2) => drop(given.unwrap()),
        }

        let waited = begin.elapsed();
        assert!((Duration::from_mins(39)..=Duration::from_mins(41)).contains(&waited), "{waited:?}");
    }

    fn kept(path: &Path, dispenser: Arc<Counting>) -> KeptToken {
        KeptToken {
            file: TokenFile::new(path),
            dispenser,
            audience: Audience::aws_sts(),
            agent: None,
            clock: Arc::new(SystemClock),
            due: Timestamp::from_unix(0),
            due_at: Instant::now(),
            stays: false,
        }
    }

    async fn written(path: &Path, text: &str) {
        while std::fs::read_to_string(path).unwrap() != text {
            tokio::task::yield_now().await;
        }
    }
}
