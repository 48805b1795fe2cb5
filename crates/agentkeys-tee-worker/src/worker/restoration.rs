use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use agentkeys_api::{ErrorCode, Problem, RestoreProgress, SealedShare, ShareRecipient, paths};
use agentkeys_backup::{Collection, Progress, ShareError};
use agentkeys_http::{Json, Refusal};
use agentkeys_memory::Secret;
use axum::{Router, extract::State, routing::get};
use tokio::sync::watch;

/// A restoration under way: takes shares over HTTP until they give the secret. Prints its public key alone.
#[derive(Clone)]
pub(super) struct Restoration {
    collection: Arc<Mutex<Collection>>,
    public_key: [u8; 32],
    secret: Arc<watch::Sender<Option<Secret>>>,
}

impl Restoration {
    /// Restores the secret with this identity.
    pub(super) fn of(identity_pub: &str) -> Result<Self, ShareError> {
        let collection = Collection::new(identity_pub)?;
        let public_key = collection.public_key();
        Ok(Self {
            collection: Arc::new(Mutex::new(collection)),
            public_key,
            secret: Arc::new(watch::Sender::new(None)),
        })
    }

    /// What evidence shows as the identity while there is none: 0, which no identity begins with, and the key that
    /// shares are to be sealed to.
    pub(super) fn identity_pub(&self) -> [u8; 33] {
        let mut identity = [0; 33];
        identity[1..].copy_from_slice(&self.public_key);
        identity
    }

    /// The secret, once enough shares have come in.
    pub(super) async fn secret(&self) -> Secret {
        let mut changed = self.secret.subscribe();
        loop {
            let secret = changed.borrow_and_update().clone();
            if let Some(secret) = secret {
                self.secret.send_replace(None);
                return secret;
            }
            // The sender lives as long as this does.
            let _ = changed.changed().await;
        }
    }

    /// Its routes.
    pub(super) fn router(&self) -> Router {
        Router::new().route(paths::RESTORE, get(show).post(create)).with_state(self.clone())
    }

    fn add(&self, share: &SealedShare) -> Result<RestoreProgress, ShareError> {
        let progress = self.collection.lock().unwrap_or_else(PoisonError::into_inner).add(share)?;
        Ok(match progress {
            Progress::Waiting { shares, threshold } => RestoreProgress { restored: false, shares, threshold },
            Progress::Complete(secret) => {
                self.secret.send_replace(Some(Secret::apart(secret.to_vec().into())));
                RestoreProgress { restored: true, shares: share.threshold.into(), threshold: share.threshold }
            }
        })
    }
}

impl fmt::Debug for Restoration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut formatter = formatter.debug_struct("Restoration");
        formatter.field("public_key", &hex::encode(self.public_key)).finish_non_exhaustive()
    }
}

/// What describes its routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(show, create))]
pub(crate) struct DescribedRestore;

/// The key to which shares of a backup are sealed, while the worker waits for them: at no other time is there this route.
#[utoipa::path(get, path = paths::RESTORE, responses((status = 200, body = ShareRecipient)))]
async fn show(State(restoration): State<Restoration>) -> Json<ShareRecipient> {
    Json(ShareRecipient { public_key: hex::encode(restoration.public_key) })
}

/// Takes a share of a backup, sealed to that key: with the last one there is the master secret, and the worker signs.
#[utoipa::path(post, path = paths::RESTORE, request_body = SealedShare, responses(
    (status = 200, body = RestoreProgress),
    (status = 400, body = Problem, description = "`credential_invalid`: for another identity or key, or malformed"),
))]
async fn create(
    State(restoration): State<Restoration>,
    Json(share): Json<SealedShare>,
) -> Result<Json<RestoreProgress>, Refusal> {
    let taken = restoration.add(&share).map_err(|error| {
        tracing::warn!(%error, "a share was refused");
        Refusal::new(ErrorCode::CredentialInvalid, error.to_string())
    })?;
    tracing::info!(shares = taken.shares, threshold = taken.threshold, "a share came in");
    Ok(Json(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_no_secret() {
        let restoration = Restoration::of(&format!("02{}", "ab".repeat(32))).unwrap();
        restoration.secret.send_replace(Some(Secret::apart(vec![7; 32].into())));

        let printed = format!("{restoration:?}");

        assert_eq!(printed, format!("Restoration {{ public_key: {:?}, .. }}", hex::encode(restoration.public_key)));
    }

    #[tokio::test]
    async fn its_routes_are_those_of_the_reference() {
        let restoration = Restoration::of(&format!("02{}", "ab".repeat(32))).unwrap();

        crate::reference::tests::assert_described("/restore", restoration.router()).await;
    }
}
