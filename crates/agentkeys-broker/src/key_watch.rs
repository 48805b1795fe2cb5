use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agentkeys_crypto::{Algorithm, FolderState, KeyError, KeyRing, OidcIssuer, RingName, SessionIssuer, SigningKey};
use agentkeys_types::{Clock, Timestamp};
use tokio::{
    sync::Mutex,
    time::{MissedTickBehavior, interval},
};

use crate::{
    Broker, Config,
    signing::{Signing, SigningKeys},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the signing keys are, and which of them sign.
#[derive(Clone, Debug)]
pub(crate) struct KeyFolder {
    path: PathBuf,
    oidc_algorithm: Algorithm,
    clock: Arc<dyn Clock>,
}

/// What the folder looked like when its keys were read, and until when they are right.
#[derive(Debug)]
pub(crate) struct Seen {
    state: FolderState,
    changes_at: Option<Timestamp>,
    /// What could not be read since; said once.
    complaint: Option<String>,
}

impl KeyFolder {
    pub(crate) fn new(config: &Config, clock: Arc<dyn Clock>) -> Self {
        Self { path: config.keys_folder(), oidc_algorithm: config.oidc_algorithm, clock }
    }

    /// Reads the keys, and makes what is missing.
    pub(crate) fn open(&self) -> Result<(SigningKeys, Seen), KeyError> {
        self.read(KeyRing::open)
    }

    /// Reads the keys again; those that are gone are not replaced by others.
    fn reopen(&self) -> Result<(SigningKeys, Seen), KeyError> {
        self.read(KeyRing::reopen)
    }

    fn read(
        &self,
        open: fn(&Path, RingName, Timestamp) -> Result<KeyRing, KeyError>,
    ) -> Result<(SigningKeys, Seen), KeyError> {
        // What changes while the keys are read is found at the next look.
        let state = FolderState::of(&self.path)?;
        let now = self.clock.now();
        let ring = |name| open(&self.path, name, now);
        let session = ring(RingName::Session)?;
        let oidc = ring(RingName::oidc(self.oidc_algorithm))?;
        let mut changes = vec![session.changes_at(), oidc.changes_at()];
        let mut keys = oidc.keys();
        for name in [RingName::OidcEs256, RingName::OidcRs256] {
            if name != RingName::oidc(self.oidc_algorithm) && name.exists_in(&self.path) {
                let other = ring(name)?;
                changes.push(other.changes_at());
                keys.keys.extend(other.keys().keys);
            }
        }
        let keys = SigningKeys {
            oidc: Signing { issuer: OidcIssuer::new(oidc.into_current())?, keys },
            session: session_signing(session)?,
        };
        Ok((keys, Seen { state, changes_at: changes.into_iter().flatten().min(), complaint: None }))
    }
}

fn session_signing(ring: KeyRing) -> Result<Signing<SessionIssuer>, KeyError> {
    let keys = ring.keys();
    let SigningKey::Es256(key) = ring.into_current() else { return Err(KeyError::Signing) };
    Ok(Signing { issuer: SessionIssuer::new(key)?, keys })
}

/// Has a broker take the keys of a folder whenever they change.
#[derive(Debug)]
pub(crate) struct KeyWatch {
    broker: Arc<Broker>,
    folder: KeyFolder,
    seen: Mutex<Seen>,
}

impl KeyWatch {
    pub(crate) fn new(broker: Arc<Broker>, folder: KeyFolder, seen: Seen) -> Self {
        Self { broker, folder, seen: Mutex::new(seen) }
    }

    /// Looks until it is dropped.
    pub(crate) async fn look_every_second(self: Arc<Self>) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    /// Takes the keys if the folder has changed, or if one of them is over; keeps those that there are if it cannot.
    pub(crate) async fn look(&self) {
        let mut seen = self.seen.lock().await;
        let now = self.folder.clock.now();
        let is_over = seen.changes_at.is_some_and(|at| now >= at);
        let (folder, state) = (self.folder.clone(), seen.state.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let is_same = FolderState::of(&folder.path)? == state;
            if is_same && !is_over {
                return Ok(None);
            }
            let reopened = folder.reopen();
            // This thread only waits from here on, and would keep what reading the keys has left on its stack.
            agentkeys_memory::clear_residue();
            reopened.map(Some)
        });
        match opened.await {
            Ok(Ok(None)) => seen.complaint = None,
            Ok(Ok(Some((keys, newly_seen)))) => {
                self.broker.take_keys(keys);
                *seen = newly_seen;
            }
            Ok(Err(error)) => seen.complain(error.to_string()),
            Err(error) => seen.complain(error.to_string()),
        }
    }
}

impl Seen {
    fn complain(&mut self, complaint: String) {
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::error!(error = complaint, "new signing keys could not be taken: the old ones stay in use");
        }
        self.complaint = Some(complaint);
    }
}
