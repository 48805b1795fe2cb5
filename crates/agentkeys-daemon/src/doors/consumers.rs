use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use agentkeys_api::{DaemonCredentials, ErrorCode, Problem};
use agentkeys_types::{RoleName, TokenDigest};
use async_trait::async_trait;

use crate::{Consumer, ConsumerToken, Desk, Door, EndpointDesk, PrivateFileError, Visitor, problem};

/// Whose token is whose, since this start of the daemon. Only digests are remembered.
#[derive(Debug, Default)]
pub(super) struct Consumers(Mutex<HashMap<TokenDigest, Consumer>>);

impl Consumers {
    /// Gives `consumer` a token, in a file, unless it has one.
    pub(super) fn give(&self, consumer: Consumer, path: &Path) -> Result<(), PrivateFileError> {
        let mut known = self.lock();
        if known.values().any(|other| *other == consumer) {
            return Ok(());
        }
        let token = ConsumerToken::generate();
        token.write(path)?;
        known.insert(token.digest(), consumer);
        Ok(())
    }

    /// From now on its token opens nothing.
    pub(super) fn remove(&self, consumer: &Consumer) {
        self.lock().retain(|_, known| known != consumer);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn find(&self, unverified_token: &str) -> Option<Consumer> {
        self.lock().get(&TokenDigest::of(unverified_token)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenDigest, Consumer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the endpoint asks: who shows such a token, and may they have this.
pub(super) struct EndpointDoor {
    pub(super) desk: Arc<Desk>,
    pub(super) consumers: Arc<Consumers>,
}

#[async_trait]
impl EndpointDesk for EndpointDoor {
    async fn hand_out(&self, unverified_token: &str, role: RoleName) -> Result<DaemonCredentials, Problem> {
        let Some(consumer) = self.consumers.find(unverified_token) else {
            self.desk.turn_away(Door::Endpoint, None, ErrorCode::TokenInvalid);
            return Err(Problem::new(ErrorCode::TokenInvalid, "the token is none of this daemon's"));
        };
        let visitor = Visitor { consumer, door: Door::Endpoint, peer: None };
        self.desk.hand_out_credentials(&visitor, &role, None).await.map_err(|error| problem::of(&error))
    }
}
